import { randomBytes } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { OrderCreatedSchema } from "@ticketing/proto/orders/v1/order_events";
import type { GetMessage } from "amqplib";
import { beforeAll, beforeEach, expect, inject, it } from "vitest";
import { manage } from "#stack/parts";
import { toProperties, type Envelope } from "./topology/envelope.ts";
import { consume, on } from "./consumer.ts";
import { newId } from "../store/ids.ts";
import { eventually } from "../testing/eventually.ts";
import { silentLog } from "../testing/log.ts";
import { testBroker, testVhost } from "../testing/broker.ts";
import { deadLetterQueue, EVENTS_EXCHANGE, delayQueue, DELAY_TIERS } from "./topology/topology.ts";

const SERVICE = "hearer";
const TYPE = OrderCreatedSchema.typeName;
const url = await testVhost();
const vhost = new URL(url).pathname.slice(1);

// A policy shortens the delays in the broker, so only their length differs from production: if a queue and a
// policy both set a TTL, the shorter one applies.
await manage(inject("parts").management, "PUT", `policies/${vhost}/short-waits`, {
  pattern: "^ticketing\\.waiting\\.",
  definition: { "message-ttl": 20 },
  "apply-to": "queues",
});

const broker = await testBroker(SERVICE, { [SERVICE]: [OrderCreatedSchema] }, { url });
const { raw } = broker;

/** How often each order was handled, including failed attempts. */
let handled: Map<string, number>;

beforeEach(() => {
  handled = new Map();
});

beforeAll(async () => {
  const handler = on(OrderCreatedSchema, ({ order }) => {
    const id = order?.id ?? "none";
    handled.set(id, (handled.get(id) ?? 0) + 1);
    return order ? Promise.resolve() : Promise.reject(new Error("an event without its order"));
  });
  const stop = await consume({
    service: SERVICE,
    broker,
    handlers: [handler],
    log: silentLog,
    isFault: () => false,
    recovered: () => Promise.resolve(),
  });
  return stop;
});

const envelope = (subject: string, type: string = TYPE): Envelope => ({
  id: newId(),
  type,
  subject,
  source: "orders",
  time: new Date(),
});

function tellOf(id: string): void {
  const body = toBinary(OrderCreatedSchema, create(OrderCreatedSchema, { order: { id } }));
  raw.publish(EVENTS_EXCHANGE, TYPE, Buffer.from(body), {
    ...toProperties(envelope(id)),
    userId: "orders",
  });
}

interface Poison {
  put(subject: string): void;
  reason: string;
  tries: number;
}

const intoQueue = (content: Buffer, event?: Envelope): void =>
  void raw.sendToQueue(SERVICE, content, event ? { ...toProperties(event), userId: "orders" } : {});

const poisons: Record<string, Poison> = {
  "random bytes": {
    put: () => intoQueue(randomBytes(50)),
    reason: 'no handler for the type ""',
    tries: 1,
  },
  "random bytes under a known type": {
    // The length of the first field exceeds the message, so it is never valid by chance.
    put: (subject) =>
      intoQueue(
        Buffer.concat([Buffer.from([0x0a, 0xff, 0xff, 0x7f]), randomBytes(50)]),
        envelope(subject),
      ),
    reason: "the body cannot be decoded",
    tries: 1,
  },
  "a valid envelope of an unknown type": {
    put: (subject) =>
      intoQueue(Buffer.alloc(0), envelope(subject, "ticketing.cinema.v1.SeatBroke")),
    reason: 'no handler for the type "ticketing.cinema.v1.SeatBroke"',
    tries: 1,
  },
  "a known type with a missing field": {
    put: (subject) => intoQueue(Buffer.alloc(0), envelope(subject)),
    reason: "an event without its order",
    tries: 5,
  },
};

const count = async (queue: string): Promise<number> => (await raw.checkQueue(queue)).messageCount;

async function takeDead(expected: number): Promise<GetMessage[]> {
  const queue = deadLetterQueue(SERVICE);
  await eventually(async () => (await count(queue)) === expected, `${expected} dead letters`);
  const messages: GetMessage[] = [];
  for (let i = 0; i < expected; i += 1)
    messages.push((await raw.get(queue, { noAck: true })) as GetMessage);
  return messages;
}

/** Expects that no message is left: each one was either handled or is a dead letter. */
async function expectAllEmpty(): Promise<void> {
  for (const queue of [SERVICE, deadLetterQueue(SERVICE), ...DELAY_TIERS.map(delayQueue)])
    expect(await count(queue), queue).toBe(0);
}

it.each(Object.entries(poisons))("%s delays no other message and is kept", async (_, poison) => {
  const { put, reason, tries } = poison;
  // More of these than the service's prefetch count are in front of the others.
  for (let i = 0; i < 50; i += 1) put(`bad${i}`);
  for (let i = 0; i < 50; i += 1) tellOf(`o${i}`);
  await eventually(
    () => Array.from(handled.keys()).filter((id) => id !== "none").length === 50,
    "all other messages",
  );
  const messages = await takeDead(50);
  for (const { properties } of messages) {
    expect(properties.headers).toMatchObject({
      "x-ticketing-reason": reason,
      "x-ticketing-origin": SERVICE,
      "x-ticketing-tries": tries,
    });
  }
  expect(handled.get("none") ?? 0).toBe(tries === 1 ? 0 : 50 * tries);
  await expectAllEmpty();
});

it("handles each of 1,900 events once, with 100 malformed ones among them (P11)", async () => {
  const kinds = Object.values(poisons);
  const begun = performance.now();
  for (let i = 0; i < 2_000; i += 1) {
    if (i % 20 === 10) kinds[Math.floor(i / 20) % kinds.length]?.put(`bad${i}`);
    else tellOf(`o${i}`);
  }
  await eventually(() => handled.size === 1_900 + 1, "all other messages", 30_000);
  const messages = await takeDead(100);
  expect(performance.now() - begun).toBeLessThan(30_000);
  const { none = 0, ...good } = Object.fromEntries(handled);
  expect(new Set(Object.values(good))).toEqual(new Set([1]));
  expect(none).toBe(25 * 5); // One of the four kinds can be decoded, and is tried.
  const reasons = messages.map(({ properties }) =>
    String(properties.headers?.["x-ticketing-reason"]),
  );
  expect(reasons.toSorted()).toEqual(
    kinds.flatMap(({ reason }) => Array.from({ length: 25 }, () => reason)).toSorted(),
  );
  await expectAllEmpty();
});
