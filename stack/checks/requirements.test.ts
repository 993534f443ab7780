import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

// docs/requirements.md defines the numbers that code, contracts and tests cite.

const root = join(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(join(root, file), "utf8");

/** Every handwritten file except the list itself and the changelog, which can cite old numbers. */
const sources = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => /\.(ts|svelte|proto|md|ya?ml)$/.test(file) && existsSync(join(root, file)))
  .filter((file) => !/^(proto\/gen|third_party\/|CHANGELOG\.md|docs\/requirements\.md)/.test(file));

const NUMBER = /\b[RP][1-9]\d?\b/g;
const defined = [...read("docs/requirements.md").matchAll(/^\| ([RP]\d+) /gm)].map(([, n]) => n);
const cited = (files: readonly string[]): Set<string> =>
  new Set(files.flatMap((file) => read(file).match(NUMBER) ?? []));

it("every number that is cited is defined", () => {
  expect([...cited(sources)].filter((number) => !defined.includes(number))).toEqual([]);
});

it("every number that is defined is cited", () => {
  const used = cited(sources);
  expect(defined.filter((number) => number && !used.has(number))).toEqual([]);
});

it("every promise is cited by a test", () => {
  const shown = cited(sources.filter((file) => file.endsWith(".test.ts")));
  expect(defined.filter((number) => number?.startsWith("P") && !shown.has(number))).toEqual([]);
});
