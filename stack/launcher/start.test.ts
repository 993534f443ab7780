import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { processIdentity, tryLock, until } from "#stack/process";
import { stackDir } from "./running.ts";

/** Runs `npm start` until it ends. Returns its exit code and its output. */
async function start(): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "start.ts")], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}

test("a second npm start in one folder names the process of the first in one line, and leaves it alone", async () => {
  mkdirSync(stackDir, { recursive: true, mode: 0o700 });
  const held = tryLock(join(stackDir, "owner")); // A pid, if a marketplace already runs from this folder.
  if (typeof held !== "number") onTestFinished(held);
  const holder = typeof held === "number" ? held : process.pid;
  const { code, output } = await start();
  expect(output).toBe(
    `Cannot start the marketplace: ${stackDir} is in use by process ${holder}.\n`,
  );
  expect(code).toBe(1);
});

const root = join(import.meta.dirname, "../..");

/** Runs an npm script in the background of a shell, with another program in place of its own. */
function inBackground(script: string, program: string) {
  const dir = mkdtempSync(join(tmpdir(), "npm-"));
  writeFileSync(join(dir, "program.mjs"), program);
  const scripts = (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Package).scripts;
  const command = scripts[script]?.replace(
    /stack\/bootstrap\.js .*/,
    `${root}/stack/bootstrap.js program.mjs`,
  );
  writeFileSync(join(dir, "package.json"), JSON.stringify({ scripts: { [script]: command } }));
  // Programs that a shell starts in the background ignore SIGINT by default.
  const shell = spawn("sh", ["-c", `npm run ${script} & echo "npm $!"; wait`], { cwd: dir });
  let output = "";
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  }
  onTestFinished(() => {
    shell.kill("SIGKILL");
    const program = pid("program");
    if (program && processIdentity(program)) process.kill(program, "SIGKILL");
    rmSync(dir, { recursive: true });
  });
  const pid = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(output)?.[1] ?? 0);
  return { pid, output: () => output };
}

interface Package {
  scripts: Record<string, string>;
}

test.each([
  ["start", "SIGINT"],
  ["start", "SIGTERM"],
  ["demo", "SIGTERM"],
] as const)(
  "npm run %s in the background passes on %s, and leaves no process behind",
  async (script, signal) => {
    const program = `
    process.on("${signal}", () => { console.log("signal received"); process.exit(0); });
    console.log("program " + process.pid);
    setInterval(() => {}, 1000);`;
    const { pid, output } = inBackground(script, program);
    await until(() => pid("npm") && pid("program"), { what: "the program", timeoutMs: 60_000 });
    const [npm, running] = [pid("npm"), pid("program")];
    process.kill(npm, signal);
    await until(() => processIdentity(running) === undefined, { what: "the program to end" });
    await until(() => processIdentity(npm) === undefined, { what: "npm to end" });
    expect(output()).toMatch(/^signal received$/m);
    expect(output()).not.toMatch(/^ +at /m);
  },
);
