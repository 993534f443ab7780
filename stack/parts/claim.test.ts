import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { claim } from "./claim.ts";
import { processIdentity, until } from "#stack/process";

// Redis stands for all parts: it starts fast, and by default it hides its environment.
const env = { ...process.env, MONGODB_URI: "mongodb://not-used", AMQP_URI: "amqp://not-used" };

let dir: string;
let parent: ChildProcess;
let redis: number;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "claim-"));
  const options = JSON.stringify({ dir, services: [] });
  const script = `
    const { startParts } = await import(${JSON.stringify(join(import.meta.dirname, "parts.ts"))});
    const parts = await startParts({ ...${options}, log: console.error });
    console.log(parts.redis.pid);
    process.stdin.once("data", () => { throw new Error("a mistake in the parent"); });`;
  parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
    env,
    stdio: ["pipe", "pipe", "ignore"],
  });
  if (parent.stdout === null) throw new Error("no output");
  const [line] = await once(createInterface({ input: parent.stdout }), "line");
  redis = Number(line);
}, 60_000);

afterEach(async () => {
  (await claim(dir, () => {}))();
  rmSync(dir, { recursive: true });
});

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "leaves no process behind on %s",
  async (signal) => {
    parent.kill(signal);
    expect(await once(parent, "exit")).toEqual([null, signal]);
    expect(processIdentity(redis)).toBeUndefined();
  },
);

test("leaves no process behind on an exception", async () => {
  parent.stdin?.write("now\n");
  expect(await once(parent, "exit")).toEqual([1, null]);
  await until(() => processIdentity(redis) === undefined, {
    what: "Redis to end",
    timeoutMs: 2000,
  });
});

test("refuses a folder in use, and stops what a killed parent left running", async () => {
  await expect(claim(dir, () => {})).rejects.toThrow(`in use by process ${parent.pid}`);
  parent.kill("SIGKILL");
  await once(parent, "exit");
  expect(processIdentity(redis)).toBeDefined();
  const lines: string[] = [];
  (await claim(dir, (line) => lines.push(line)))();
  expect(processIdentity(redis)).toBeUndefined();
  expect(lines).toEqual([expect.stringContaining("Stopping 1 process")]);
});
