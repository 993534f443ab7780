import { expect, test } from "vitest";
import { drive } from "./driver.ts";
import { toOutcome } from "./load.ts";

test("an outcome lasts from the first request to the last response, and counts failures by name", () => {
  const outcome = toOutcome([
    { startMs: 1_000, latencyMs: 50, failure: undefined },
    { startMs: 1_010, latencyMs: 490, failure: "HTTP 503" },
    { startMs: 1_020, latencyMs: 5, failure: "HTTP 503" },
  ]);
  expect(outcome).toEqual({ seconds: 0.5, latenciesMs: [50], failures: { "HTTP 503": 2 } });
});

test("an outcome of nothing lasts no time", () => {
  expect(toOutcome([])).toEqual({ seconds: 0, latenciesMs: [], failures: {} });
});

test("a closed loop never runs more flows at once than it has connections", async () => {
  let running = 0;
  let most = 0;
  const flow = async (): Promise<void> => {
    most = Math.max(most, (running += 1));
    await new Promise(setImmediate);
    running -= 1;
  };
  const items = Array.from({ length: 20 });
  const { latenciesMs } = await drive(items, flow, { loop: "closed", connections: 3 });
  expect(latenciesMs).toHaveLength(20);
  expect(most).toBe(3);
});

test("an open loop starts flows although earlier ones have not ended, and counts from when they were due", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const started: number[] = [];
  const flow = (item: number): Promise<void> => {
    started.push(item);
    if (started.length === 3) resolve();
    return promise;
  };
  const { latenciesMs } = await drive([1, 2, 3], flow, { loop: "open", perSecond: 1_000 });
  expect(started).toEqual([1, 2, 3]);
  expect(latenciesMs).toHaveLength(3);
});

test("a flow that fails counts as a failure and does not end the others", async () => {
  const flow = (item: number) => (item === 1 ? Promise.reject(new Error("no")) : Promise.resolve());
  const { latenciesMs, failures } = await drive([1, 2], flow, { loop: "closed", connections: 1 });
  expect(latenciesMs).toHaveLength(1);
  expect(failures).toEqual({ "Error: no": 1 });
});
