import { describe, expect, it } from "vitest";
import { snapshots, subscriptions } from "#marketplace/catalogue.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { testBroker, type TestBroker } from "#runtime/testing/broker.ts";
import { delayQueue, DELAY_TIERS } from "#runtime/messaging/topology/topology.ts";
import { publishHold, recordLateness, startExpiration } from "./testing.ts";

/** How many messages wait at the broker, not delivered to the service. */
async function waiting({ raw }: TestBroker): Promise<number> {
  const queues = await Promise.all(DELAY_TIERS.map((wait) => raw.checkQueue(delayQueue(wait))));
  return queues.reduce((sum, { messageCount }) => sum + messageCount, 0);
}

describe("the process", () => {
  it("that is killed while it waits loses no timer", async () => {
    const broker = await testBroker("orders", subscriptions, { snapshots });
    const late = await recordLateness(broker);
    const first = await startExpiration(broker, "native");
    const end = Date.now() + 5_000;
    const ids = await Promise.all(Array.from({ length: 20 }, () => publishHold(broker, 5_000)));
    await eventually(async () => (await waiting(broker)) === ids.length, "the broker to wait");
    first.kill("SIGKILL");
    expect(await first.exited).toBe("SIGKILL");
    expect(Date.now()).toBeLessThan(end);
    await startExpiration(broker, "native");
    await eventually(() => late.size === ids.length, "all timer events");
    expect([...late.keys()].toSorted()).toEqual(ids.toSorted());
    expect(Math.min(...late.values())).toBeGreaterThanOrEqual(0);
  });

  it("that is told to stop shuts down cleanly", async () => {
    const child = await startExpiration(
      await testBroker("orders", subscriptions, { snapshots }),
      "auto",
    );
    process.kill(child.pid, "SIGTERM");
    expect(await child.exited).toBe("code 0");
    expect(child.tail()).toContain('"stopped"');
  });

  it("that meets an uncaught error logs it and exits", async () => {
    const failing = 'process.once("SIGUSR2", () => { throw new Error("of all things"); });';
    const child = await startExpiration(
      await testBroker("orders", subscriptions, { snapshots }),
      "auto",
      {
        NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(failing)}`,
      },
    );
    process.kill(child.pid, "SIGUSR2");
    expect(await child.exited).toBe("code 1");
    expect(child.tail().split("\n").at(-1)).toMatch(/^\{"level":60,.*"of all things"/);
  });
});
