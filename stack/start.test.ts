import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { tryLock } from "./lock.ts";
import { home } from "./running.ts";

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
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const held = tryLock(join(home, "owner")); // A number, where one runs here already.
  if (typeof held !== "number") onTestFinished(held);
  const holder = typeof held === "number" ? held : process.pid;
  const { code, said } = await start();
  expect(said).toBe(`It could not be started: ${home} is in use by process ${holder}.\n`);
  expect(code).toBe(1);
});
