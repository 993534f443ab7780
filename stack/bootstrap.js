// Plain JavaScript, because the Node on the machine can be too old for TypeScript.
// Installs the packages of package-lock.json, then starts the Node version that is one of them.
//
//   node stack/bootstrap.js <script.ts> [arguments]

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, "node_modules", ".bin");

if (!installed()) {
  console.log("Installing the packages of package-lock.json ...");
  // No package here needs its install scripts, so none of them run.
  const flags = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"];
  const npm = spawnSync("npm", flags, { cwd: root, stdio: "inherit" });
  if (npm.status !== 0) fail("npm ci did not succeed, so nothing can be started.");
}

const bundled = join(bin, "node");
const ours = existsSync(bundled);
if (!ours && Number(process.versions.node.split(".")[0]) < 24) {
  fail(`Node 24 or newer is needed here, and this is ${process.version}: put one on PATH.`);
}

// Compiled code is kept between starts, which makes each process start in two thirds of the time.
const compiled = join(root, "node_modules", ".cache", "compiled");

const child = spawn(ours ? bundled : process.execPath, process.argv.slice(2), {
  env: {
    NODE_COMPILE_CACHE: compiled,
    ...process.env,
    PATH: bin + delimiter + process.env.PATH,
  },
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => fail(error.message));
child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));

/** Compares the lockfile with npm's record of the installed packages. Optional ones can be missing. */
function installed() {
  const note = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(note)) return false;
  const [wanted, found] = [join(root, "package-lock.json"), note].map(
    (path) => JSON.parse(readFileSync(path, "utf8")).packages,
  );
  const alike = (path) =>
    wanted[path]?.version === found[path]?.version &&
    wanted[path]?.integrity === found[path]?.integrity;
  const there = (path) => (path in found ? alike(path) : path === "" || wanted[path].optional);
  return Object.keys(wanted).every(there) && Object.keys(found).every(alike);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
