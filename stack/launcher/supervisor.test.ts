import { expect, onTestFinished, test } from "vitest";
import { type Child, run, until } from "#stack/process";
import { supervise, type Restartable } from "./supervisor.ts";

function restartable(script: string): Restartable & { starts: number } {
  const start = (): Child => run("it", "/bin/sh", ["-c", script]);
  const one = {
    child: start(),
    starts: 1,
    restart() {
      one.child = start();
      one.starts += 1;
      return Promise.resolve();
    },
  };
  onTestFinished(() => one.child.stop());
  return one;
}

test("a process that ends is restarted with exponential backoff, and the log says how it ended", async () => {
  const failing = restartable("exit 3");
  const lines: string[] = [];
  const stop = supervise([failing], { log: (line) => lines.push(line), firstPauseMs: 20 });
  await until(() => failing.starts >= 4, { what: "three more starts" });
  await stop();
  // It can have ended once more before the supervision stopped.
  expect(lines.filter((line) => line.includes("ended")).slice(0, 3)).toEqual([
    "it ended (code 3). Restarting it in 0.02 s.",
    "it ended (code 3). Restarting it in 0.04 s.",
    "it ended (code 3). Restarting it in 0.08 s.",
  ]);
});

test("a process that was stable before it was killed is restarted with the first backoff", async () => {
  const living = restartable("exec sleep 600");
  const lines: string[] = [];
  const options = { firstPauseMs: 20, settledMs: 0 };
  const stop = supervise([living], { log: (line) => lines.push(line), ...options });
  for (const starts of [2, 3]) {
    living.child.kill("SIGKILL");
    await until(() => living.starts >= starts, { what: "the next start" });
  }
  await stop();
  const line = "it ended (SIGKILL). Restarting it in 0.02 s.";
  expect(lines.filter((each) => each.includes("ended"))).toEqual([line, line]);
});

test("a process that is stopped on purpose is not restarted", async () => {
  const living = restartable("exec sleep 600");
  const lines: string[] = [];
  const stop = supervise([living], { log: (line) => lines.push(line), firstPauseMs: 1 });
  await stop();
  await living.child.stop();
  expect(living.starts).toBe(1);
  expect(lines).toEqual([]);
});
