import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { processIdentity, tryLock, until } from "#stack/process";
import { stackDir } from "./running.ts";

/** Runs `npm start` until it ends; answers how, and all that it said. */
async function start(): Promise<{ code: number | null; said: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "start.ts")], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  for (const output of [child.stdout, child.stderr]) {
    output.on("data", (chunk: Buffer) => (said += chunk.toString()));
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, said };
}

test("npm start twice in one folder says in a line who has it, and leaves that alone", async () => {
  mkdirSync(stackDir, { recursive: true, mode: 0o700 });
  const held = tryLock(join(stackDir, "owner")); // A number, where one runs here already.
  if (typeof held !== "number") onTestFinished(held);
  const holder = typeof held === "number" ? held : process.pid;
  const { code, said } = await start();
  expect(said).toBe(`It could not be started: ${stackDir} is in use by process ${holder}.\n`);
  expect(code).toBe(1);
});

const root = join(import.meta.dirname, "../..");

/** A command of ours, run by npm in the background of a shell, with another program at its end. */
function inBackground(script: string, program: string) {
  const dir = mkdtempSync(join(tmpdir(), "npm-"));
  writeFileSync(join(dir, "program.mjs"), program);
  const ours = (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Package).scripts;
  const told = ours[script]?.replace(
    /stack\/bootstrap\.js .*/,
    `${root}/stack/bootstrap.js program.mjs`,
  );
  writeFileSync(join(dir, "package.json"), JSON.stringify({ scripts: { [script]: told } }));
  // A shell makes those that it starts in the background deaf to SIGINT.
  const shell = spawn("sh", ["-c", `npm run ${script} & echo "npm $!"; wait`], { cwd: dir });
  let said = "";
  for (const output of [shell.stdout, shell.stderr]) {
    output.on("data", (chunk: Buffer) => (said += chunk.toString()));
  }
  onTestFinished(() => {
    shell.kill("SIGKILL");
    const program = pid("program");
    if (program && processIdentity(program)) process.kill(program, "SIGKILL");
    rmSync(dir, { recursive: true });
  });
  const pid = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(said)?.[1] ?? 0);
  return { pid, said: () => said };
}

interface Package {
  scripts: Record<string, string>;
}

test.each([
  ["start", "SIGINT"],
  ["start", "SIGTERM"],
  ["demo", "SIGTERM"],
] as const)(
  "npm run %s, in the background, passes %s on, and leaves nothing behind",
  async (script, signal) => {
    const program = `
    process.on("${signal}", () => { console.log("told"); process.exit(0); });
    console.log("program " + process.pid);
    setInterval(() => {}, 1000);`;
    const { pid, said } = inBackground(script, program);
    await until(() => pid("npm") && pid("program"), { what: "the program", timeoutMs: 60_000 });
    const [npm, running] = [pid("npm"), pid("program")];
    process.kill(npm, signal);
    await until(() => processIdentity(running) === undefined, { what: "the program to end" });
    await until(() => processIdentity(npm) === undefined, { what: "npm to end" });
    expect(said()).toMatch(/^told$/m);
    expect(said()).not.toMatch(/^ +at /m);
  },
);
