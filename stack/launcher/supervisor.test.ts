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

test("what ends by itself is started again after growing pauses, and a line says how it ended", async () => {
  const failing = restartable("exit 3");
  const lines: string[] = [];
  const stop = supervise([failing], { log: (line) => lines.push(line), firstPauseMs: 20 });
  await until(() => failing.starts >= 4, { what: "three starts more" });
  await stop();
  // It may have ended once more before it was stopped.
  expect(lines.filter((line) => line.includes("ended")).slice(0, 3)).toEqual([
    "it ended (code 3); it is started again in 0.02 s.",
    "it ended (code 3); it is started again in 0.04 s.",
    "it ended (code 3); it is started again in 0.08 s.",
  ]);
});

test("what was killed after it had run for a while begins with the first pause", async () => {
  const living = restartable("exec sleep 600");
  const lines: string[] = [];
  const options = { firstPauseMs: 20, settledMs: 0 };
  const stop = supervise([living], { log: (line) => lines.push(line), ...options });
  for (const starts of [2, 3]) {
    living.child.kill("SIGKILL");
    await until(() => living.starts >= starts, { what: "the next start" });
  }
  await stop();
  const line = "it ended (SIGKILL); it is started again in 0.02 s.";
  expect(lines.filter((each) => each.includes("ended"))).toEqual([line, line]);
});

test("what is stopped on purpose stays so", async () => {
  const living = restartable("exec sleep 600");
  const lines: string[] = [];
  const stop = supervise([living], { log: (line) => lines.push(line), firstPauseMs: 1 });
  await stop();
  await living.child.stop();
  expect(living.starts).toBe(1);
  expect(lines).toEqual([]);
});
