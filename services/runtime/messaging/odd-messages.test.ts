import { create, toBinary } from "@bufbuild/protobuf";
import { OrderCreatedSchema } from "@ticketing/proto/orders/v1/order_events";
import type { Options } from "amqplib";
import { expect, it } from "vitest";
import { subscribeToBans } from "../identity/bans.ts";
import { toProperties } from "./topology/envelope.ts";
import { consume, on } from "./consumer.ts";
import { newId } from "../store/ids.ts";
import { eventually } from "../testing/eventually.ts";
import { recordedLog, silentLog } from "../testing/log.ts";
import { testBroker } from "../testing/broker.ts";
import { deadLetterQueue, EVENTS_EXCHANGE } from "./topology/topology.ts";

// Everything except the body: an AMQP header has one of twenty types, including a table.

const SERVICE = "hearer";
const TYPE = OrderCreatedSchema.typeName;
const noString = { toString: "x", valueOf: "x" };
const usual = { "cloudEvents:type": TYPE, "cloudEvents:source": "/ticketing/orders" };

const odd: Record<string, Options.Publish> = {
  "no headers": {},
  "a subject that is a table": { headers: { ...usual, "cloudEvents:subject": noString } },
  "a type that is a table": { headers: { "cloudEvents:type": noString } },
  "a source that is a list": { headers: { ...usual, "cloudEvents:source": [[[]]] } },
  "an invalid time": { type: TYPE, headers: { ...usual, "cloudEvents:time": -1 } },
  "a count of tries that is a table": { type: TYPE, headers: { "x-ticketing-tries": noString } },
  "a count of tries that is a string": { type: TYPE, headers: { "x-ticketing-tries": "many" } },
  "a count of tries that is a fraction": { type: TYPE, headers: { "x-ticketing-tries": 0.5 } },
  "headers as large as a frame": { type: TYPE, headers: { a: "x".repeat(60_000) } },
  "a thousand headers": {
    type: TYPE,
    headers: Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`h${i}`, "x".repeat(40)])),
  },
  "a publisher that is a table": { type: TYPE, headers: { "x-ticketing-publisher": noString } },
  "header names of JavaScript's Object": {
    type: TYPE,
    headers: { constructor: "x", hasOwnProperty: 1 },
  },
};

it.each(Object.entries(odd))(
  "a message with %s delays no other message and is kept",
  async (_, props) => {
    const { log, lines } = recordedLog();
    const broker = await testBroker(SERVICE, { [SERVICE]: [OrderCreatedSchema] }, { log });
    const handled: string[] = [];
    const handler = on(OrderCreatedSchema, ({ order }) => {
      handled.push(order?.id ?? "none");
      return Promise.resolve();
    });
    const stop = await consume({
      ...{ service: SERVICE, broker, handlers: [handler], log: silentLog },
      ...{ isFault: () => false, recovered: () => Promise.resolve() },
    });
    // More messages than the service's prefetch count, and none of them can be decoded.
    const userId = SERVICE; // It comes from the service itself, so it is decoded.
    for (let i = 0; i < 40; i += 1) {
      broker.raw.sendToQueue(SERVICE, Buffer.from([0x0a, 0xff]), { ...props, userId });
    }
    const body = toBinary(
      OrderCreatedSchema,
      create(OrderCreatedSchema, { order: { id: "good" } }),
    );
    const about = { id: newId(), type: TYPE, subject: "good", source: "orders", time: new Date() };
    broker.raw.sendToQueue(SERVICE, Buffer.from(body), { ...toProperties(about), userId });
    await eventually(() => handled.includes("good"), "the valid message behind them");
    await eventually(
      async () => (await broker.raw.checkQueue(deadLetterQueue(SERVICE))).messageCount === 40,
      "the dead letters",
    );
    await stop();
    expect(lines.filter(({ msg }) => msg === "broker gone")).toEqual([]);
  },
);

it("an instance that subscribes to bans keeps its connection, whatever is published", async () => {
  const { log, lines } = recordedLog();
  const broker = await testBroker("one", {}, { log });
  const read = (body: Uint8Array) => ({
    ...{ userId: Buffer.from(body).toString(), version: 1, banned: true },
  });
  const events = [{ type: TYPE, read }];
  const bans = await subscribeToBans({ broker, log, events, load: () => Promise.resolve([]) });
  const owned = { userId: "orders" };
  for (const props of Object.values(odd)) {
    if (props.type === undefined) continue; // A message of an unknown type has no owner.
    broker.raw.publish(EVENTS_EXCHANGE, TYPE, Buffer.alloc(9), { ...props, ...owned });
  }
  broker.raw.publish(EVENTS_EXCHANGE, TYPE, Buffer.from("ann"), { type: TYPE, ...owned });
  await eventually(() => bans.isBanned("ann"), "the ban behind them");
  bans.close();
  expect(lines.filter(({ level }) => Number(level) >= 40)).toEqual([]);
});
