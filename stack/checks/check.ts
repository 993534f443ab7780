import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import pLimit from "p-limit";
import { generate } from "./generate.ts";

// `npm run check`: all checks that do not run the project.

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** The output of a failed check, or the reason why a check cannot run on this machine. */
type Outcome = { ok: true } | { ok: false; said: string } | { skipped: string };

async function command(program: string, ...args: string[]): Promise<Outcome> {
  try {
    await run(program, args, { cwd: root, maxBuffer: 1 << 26 });
    return { ok: true };
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    return { ok: false, said: `${stdout}${stderr}` || String(error) };
  }
}

/** Adds to the outcome of a failed check how to mend the format. */
async function formatted(check: Promise<Outcome>): Promise<Outcome> {
  const outcome = await check;
  if (!("ok" in outcome) || outcome.ok) return outcome;
  return { ok: false, said: `${outcome.said.trimEnd()}\nnpm run format writes it.\n` };
}

/** Checks that the generated code is exactly what the contracts generate. */
async function generated(): Promise<Outcome> {
  const fresh = mkdtempSync(join(tmpdir(), "ticketing-generated-"));
  try {
    generate(fresh);
    for (const folder of ["proto/gen", "proto/gen-web"]) {
      const same = await command("diff", "-r", join(fresh, folder), join(root, folder));
      if (!("ok" in same) || !same.ok) {
        return { ok: false, said: `${folder} is not what the contracts give: npm run generate` };
      }
    }
    return { ok: true };
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Checks that clients of the last release remain compatible with the current contracts. */
async function breaking(): Promise<Outcome> {
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
  try {
    const tag = git("tag", "--list", "v*", "--sort=-v:refname").split("\n")[0];
    if (!tag) return { skipped: "there is no release yet to compare the contracts with" };
    return await command("buf", "breaking", "--against", `.git#tag=${tag}`);
  } catch {
    return { skipped: "this is no Git checkout, so there is no release to compare with" };
  }
}

/** What the last run found is kept here, so the next one looks only at what has changed. */
const cache = "node_modules/.cache";
const tsc = ["--noEmit", "--incremental", "--tsBuildInfoFile", `${cache}/types.tsbuildinfo`];
const prettier = ["--cache", "--cache-strategy", "content", "--cache-location", `${cache}/format`];

/** The longest first, so that the two that run at a time end together. */
const checks: readonly [string, () => Promise<Outcome>][] = [
  ["types of services, tests and tools", () => command("tsc", ...tsc, "--project", ".")],
  [
    "format",
    () => formatted(command("prettier", ...prettier, "--check", "--log-level", "warn", ".")),
  ],
  ["lint and import rules", () => command("eslint", ".", "--max-warnings", "0")],
  ["types of the storefront", () => command("npm", "run", "check", "--workspace", "web")],
  ["generated code", generated],
  [
    "format of contracts",
    () => formatted(command("buf", "format", "--diff", "--exit-code", "proto")),
  ],
  ["lint of contracts", () => command("buf", "lint")],
  ["contracts against the last release", breaking],
];

/** Runs every check, two at a time, and prints the result of each. */
export async function check(): Promise<Tally> {
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
  const limit = pLimit(2);
  const made = checks.map(([name, make]) =>
    limit(async () => {
      const begun = performance.now();
      const outcome = await make();
      return { name, outcome, seconds: ((performance.now() - begun) / 1000).toFixed(1) };
    }),
  );
  for await (const { name, outcome, seconds } of made) {
    if ("skipped" in outcome) {
      tally.skipped += 1;
      console.log(`- ${name}: skipped, ${outcome.skipped}`);
    } else if (outcome.ok) {
      tally.passed += 1;
      console.log(`✓ ${name} (${seconds} s)`);
    } else {
      tally.failed += 1;
      console.log(`✗ ${name}\n${outcome.said}`);
    }
  }
  return tally;
}

if (import.meta.main) {
  const { failed } = await check();
  process.exit(failed > 0 ? 1 : 0);
}
