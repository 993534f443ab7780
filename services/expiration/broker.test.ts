import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { snapshots, subscriptions } from "#marketplace/catalogue.ts";
import { newId } from "#runtime/store/ids.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { testBroker } from "#runtime/testing/broker.ts";
import { type Rabbit, startRabbit } from "#stack/parts";
import { publishHold, recordLateness, startExpiration } from "./testing.ts";

/** A broker for one test, which can be killed. */
async function mortalRabbit(): Promise<Rabbit> {
  const dir = await mkdtemp(join(tmpdir(), "rabbit-"));
  const password = newId();
  const about = { secret: () => password, log: () => undefined };
  const rabbit = await startRabbit({ dir, services: [], ...about });
  onTestFinished(async () => {
    await rabbit.stop();
    await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  });
  return rabbit;
}

it("a broker that is killed loses no timer, neither while it waits nor while it delivers (P19)", async () => {
  const rabbit = await mortalRabbit();
  const broker = await testBroker("orders", subscriptions, { url: rabbit.adminUrl, snapshots });
  const late = await recordLateness(broker);
  await startExpiration(broker, "native");
  // Some are due before the broker is killed, some while it is down, some afterwards.
  const lengths = Array.from({ length: 600 }, (_, i) => 1_500 + i * 8);
  const ids = await Promise.all(lengths.map((ms) => publishHold(broker, ms)));
  await eventually(() => late.size > 50, "the delivery to begin");
  rabbit.kill("SIGKILL");
  expect(late.size).toBeLessThan(ids.length);
  await rabbit.restart();
  await eventually(() => late.size === ids.length, "all timer events", 60_000);
  expect([...late.keys()].toSorted()).toEqual(ids.toSorted());
  expect(Math.min(...late.values())).toBeGreaterThanOrEqual(0);
});
