import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { eventually } from "../../testing/eventually.ts";
import { testBroker } from "../../testing/broker.ts";
import { deadLetterQueue, delayQueue, DELAY_TIERS } from "../topology/topology.ts";
import { publishDelayed, longestTierWithin } from "../delayed-message.ts";

const subscriptions = { one: [StringValueSchema], other: [StringValueSchema] };
const broker = await testBroker("one", subscriptions);
const { raw } = broker;

describe("the delay tiers", () => {
  it.each([
    [-1, 0.2],
    [0, 0.2],
    [1, 0.2],
    [999, 0.2],
    [1_000, 1],
    [9_999, 1],
    [10_000, 10],
    [59_999, 10],
    [60_000, 60],
    [599_999, 60],
    [600_000, 600],
    [899_999, 600],
    [900_000, 900],
    [86_400_000, 900],
  ])("with %d ms left, the delay is %d s", (left, seconds) => {
    expect(longestTierWithin(left)).toBe(seconds);
  });

  it("reach the end of a hold of any length: never early, and at most one second late", () => {
    const DAY_MS = 86_400_000; // The maximum duration of a hold in orders.
    const holdMs = fc.oneof(
      fc.integer({ min: 1, max: 5_000 }),
      fc.integer({ min: 1, max: DAY_MS }),
    );
    // Each step takes some time in the broker and the service, in addition to its delay.
    const overheadMs = fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(holdMs, overheadMs, (hold, overheads) => {
        let clock = 0;
        let steps = 0;
        let last = 0;
        while (clock < hold) {
          last = overheads[steps % overheads.length] ?? 0;
          clock += longestTierWithin(hold - clock) * 1000 + last;
          steps += 1;
        }
        const late = clock - hold;
        expect(late).toBeGreaterThanOrEqual(0);
        expect(late).toBeLessThan(200 + last);
        expect(late).toBeLessThanOrEqual(1_000);
        expect(steps).toBeLessThanOrEqual(Math.floor(hold / 900_000) + 30);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a delayed message", () => {
  it("is delivered to its queue unchanged, and not before its time", async () => {
    const left = Date.now();
    const properties = { messageId: "m", type: "t", headers: { "x-tries": 2 } };
    await publishDelayed(broker, 1, "other", { content: Buffer.from("hello"), properties });
    expect((await raw.checkQueue(delayQueue(1))).messageCount).toBe(1);
    const message = await eventually(() => raw.get("other", { noAck: true }), "the message");
    expect(Date.now() - left).toBeGreaterThanOrEqual(990);
    expect(message.content.toString()).toBe("hello");
    expect(message.properties).toMatchObject({ messageId: "m", type: "t", deliveryMode: 2 });
    expect(message.properties.headers).toMatchObject({ "x-tries": 2 });
    expect((await raw.checkQueue("one")).messageCount).toBe(0);
  });

  it("does not wait behind a message with a longer delay", async () => {
    await publishDelayed(broker, 900, "other", { content: Buffer.from("long"), properties: {} });
    await publishDelayed(broker, 1, "other", { content: Buffer.from("short"), properties: {} });
    const message = await eventually(
      () => raw.get("other", { noAck: true }),
      "the message with the short delay",
    );
    expect(message.content.toString()).toBe("short");
    expect((await raw.checkQueue(delayQueue(900))).messageCount).toBe(1);
  });
});

describe("the topology", () => {
  it("is complete before any service publishes, also for services that have never started", async () => {
    for (const queue of ["one", "other"].flatMap((name) => [name, deadLetterQueue(name)])) {
      expect((await raw.checkQueue(queue)).messageCount).toBe(0);
    }
    for (const seconds of DELAY_TIERS) await raw.checkQueue(delayQueue(seconds));
  });
});
