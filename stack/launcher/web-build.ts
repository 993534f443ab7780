import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "#stack/process";

const root = join(import.meta.dirname, "../..");
const stamp = join(root, "web/build/.stamp");

function filesIn(path: string): string[] {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesIn(join(path, name)));
}

/** What the storefront is built from. */
function sources(): string {
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

/** Builds the storefront, unless that was done from the same sources before. */
export async function buildWeb(log: (line: string) => void): Promise<void> {
  const wanted = sources();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  log("Building the storefront ...");
  const child = run("web build", "npm", ["run", "build", "-w", "web"], { cwd: root });
  const how = await child.exited;
  if (how !== "code 0") throw new Error(`the storefront could not be built:\n${child.tail()}`);
  writeFileSync(stamp, wanted);
}

/** Makes what the storefront's own tsconfig extends: its tests and its editor need it too. */
export async function prepareWeb(): Promise<void> {
  if (existsSync(join(root, "web/node_modules/$app"))) return;
  const child = run("web prepare", "npm", ["run", "prepare", "-w", "web"], { cwd: root });
  const how = await child.exited;
  if (how !== "code 0") throw new Error(`the storefront could not be prepared:\n${child.tail()}`);
}
