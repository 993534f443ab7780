import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "#stack/process";

const root = join(import.meta.dirname, "../..");
/** Holds the hash of the sources of the last build. */
const stamp = join(root, "web/build/.stamp");

function filesIn(path: string): string[] {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesIn(join(path, name)));
}

/** A hash of all files that the storefront is built from. */
function hashSources(): string {
  const hash = createHash("sha256");
  const names = [
    "web/src",
    "web/static",
    "web/vite.config.ts",
    "proto/gen-web",
    "package-lock.json",
  ];
  for (const file of names.flatMap((name) => filesIn(join(root, name)))) {
    hash.update(file).update(readFileSync(file));
  }
  return hash.digest("hex");
}

/** Builds the storefront, unless the last build is of the same sources. */
export async function buildWeb(log: (line: string) => void): Promise<void> {
  const sources = hashSources();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === sources) return;
  log("Building the storefront ...");
  await runScript("build");
  writeFileSync(stamp, sources);
}

/** Generates the tsconfig that the storefront's own one extends, for its tests and for editors. */
export async function prepareWeb(): Promise<void> {
  if (existsSync(join(root, "web/node_modules/$app"))) return;
  await runScript("prepare");
}

async function runScript(script: string): Promise<void> {
  const child = run(`web ${script}`, "npm", ["run", script, "-w", "web"], { cwd: root });
  if ((await child.exited) === "code 0") return;
  throw new Error(`npm run ${script} of the storefront failed:\n${child.tail()}`);
}
