import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { processIdentity } from "./lock.ts";
import { run } from "./process.ts";
import { until } from "./wait.ts";

const shell = (script: string, options = {}) => run("it", "/bin/sh", ["-c", script], options);

test("passes on every line of output and appends it to the log file", async () => {
  const logFile = join(tmpdir(), `process-${process.pid}.log`);
  const lines: string[] = [];
  const child = shell("echo one; echo two; exit 3", {
    logFile,
    onLine: (line: string) => lines.push(line),
  });
  expect(await child.exited).toBe("code 3");
  expect(lines).toEqual(["one", "two"]);
  await until(() => readFileSync(logFile, "utf8") === "one\ntwo\n", { what: "the log" });
  rmSync(logFile);
});

test("kills a program that ignores SIGTERM, with every process that it started", async () => {
  const child = shell("trap '' TERM; sleep 60 & echo $!; wait; sleep 60");
  const helper = await until(() => Number(child.tail()), { what: "its helper", child });
  await child.stop(50);
  expect(await child.exited).toBe("SIGKILL");
  await until(() => processIdentity(helper) === undefined, { what: "the helper to end" });
});

test("names what it waited for, and shows the last output of the child that ended", async () => {
  const child = shell("echo no port; exit 1");
  const wait = until(() => false, { what: "it to listen", child });
  await expect(wait).rejects.toThrow(
    "Waited for it to listen, but it ended (code 1).\nThe last lines of it:\nno port",
  );
  const failing = until(() => Promise.reject(new Error("refused")), { what: "X", timeoutMs: 1 });
  await expect(failing).rejects.toThrow("Waited for X, but 1 ms have passed (Error: refused).");
});

test("names a program that does not exist", () => {
  expect(() => run("it", "/nowhere/it", [])).toThrow("it: cannot start /nowhere/it");
});
