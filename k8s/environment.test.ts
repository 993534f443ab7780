import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { z } from "zod";
import { buildDescriptors } from "#stack/launcher";
import { ensureTools } from "#stack/tools";
import { localSecrets } from "./local-secrets.ts";
import { container, find, manifests, root, services, workloads, type Manifest } from "./testing.ts";

const base = await manifests("base");
const local = await manifests("local");
const secrets = localSecrets("10.244.0.0/24");

it("secrets are set by reference only, and each service uses only its own Secret", () => {
  for (const workload of workloads(base)) {
    for (const { name, value, valueFrom } of container(workload).env ?? []) {
      const own = { secretKeyRef: { name: workload.metadata.name, key: name } };
      if (valueFrom) expect(valueFrom).toEqual(own);
      if (/_KEYS?$|_SECRET$|^(MONGODB|AMQP|REDIS)_URI$/.test(name)) expect(valueFrom).toEqual(own);
      expect(value ?? "").not.toMatch(/:\/\/[^/]*@|sk_|whsec_/);
    }
  }
});

it.each([...services, "edge"])(
  "gives %s what its config.ts asks for, and no more, in both clusters",
  async (name) => {
    const schema = z.strictObject((await configOf(name)).shape);
    for (const documents of [base, local]) {
      const { error } = schema.safeParse(environment(find(documents, "Deployment", name)));
      expect(error?.issues).toBeUndefined();
    }
  },
);

it("every referenced key exists in the secrets of a local cluster", () => {
  for (const workload of workloads(local)) {
    expect(environment(workload)).toBeDefined();
    const volumes = workload.spec.template.spec.volumes ?? [];
    const names = volumes.flatMap(({ secret }) => secret?.secretName ?? []);
    expect(Object.keys(secrets)).toEqual(expect.arrayContaining(names));
  }
});

it("the edge starts as in its image, with a configuration that Envoy accepts, and with the cluster's addresses", async () => {
  const { envoy } = await ensureTools(["envoy"], () => {});
  const dir = mkdtempSync(join(tmpdir(), "edge-k8s-"));
  try {
    const descriptors = await buildDescriptors(dir);
    for (const documents of [base, local]) {
      const edge = find(documents, "Deployment", "edge");
      const [node, main, ...args] = container(edge).command as string[];
      expect(readFileSync(join(root, "Dockerfile"), "utf8")).toContain(
        `CMD ["${node}", "${main}"]`,
      );
      const start = (env: Record<string, string>) =>
        spawnSync(process.execPath, [main as string, ...args, "--mode", "validate"], {
          cwd: root,
          encoding: "utf8",
          env: { ...env, ENVOY: envoy, EDGE_DESCRIPTORS: descriptors },
        });
      expect(start(environment(edge)), "as it is").toMatchObject({ status: 0 });
      const { TRUSTED_NETWORKS: _, ...without } = environment(edge);
      const known = { ...without, WEB_ADDRESSES: "10.42.0.7:3000" };
      expect(start(known)).toMatchObject({
        status: 78,
        stderr: expect.stringContaining("10.42.0.7, which is in none of them"),
      });
      expect(start({ ...known, TRUSTED_NETWORKS: "10.42.0.0/16" })).toMatchObject({ status: 0 });
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});

/** The schema of the environment that config.ts exports. */
async function configOf(service: string): Promise<z.ZodObject> {
  const file =
    service === "edge" ? "envoy/config/edge-config.ts" : join("services", service, "config.ts");
  const url = pathToFileURL(join(root, file)).href;
  const exported = Object.values((await import(/* @vite-ignore */ url)) as object) as unknown[];
  const [schema, ...more] = exported.filter((one) => one instanceof z.ZodObject);
  if (!schema || more.length > 0) throw new Error(`${file} must export one schema`);
  return schema;
}

/** The environment of the process, with the secrets of a local cluster. */
function environment(workload: Manifest): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { name, value = "", valueFrom } of container(workload).env ?? []) {
    const { name: secret = "", key = "" } = valueFrom?.secretKeyRef ?? {};
    const found = valueFrom ? secrets[secret]?.[key] : value;
    if (found === undefined) throw new Error(`the Secret ${secret} has no ${key}`);
    env[name] = found;
  }
  return env;
}
