import { onSaved } from "#runtime/store/aggregate.ts";
import { setTimeout as passing } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ExpirationCompleteSchema } from "@ticketing/proto/expiration/v1/expiration_events";
import type { Order } from "@ticketing/proto/orders/v1/order";
import type { Channel, ConsumeMessage } from "amqplib";
import { describe, expect, it, onTestFinished } from "vitest";
import { catalogue } from "#marketplace/catalogue.ts";
import { toProperties } from "#runtime/messaging/topology/envelope.ts";
import { consume } from "#runtime/messaging/consumer.ts";
import { newId } from "#runtime/store/ids.ts";
import { relay } from "#runtime/messaging/relay.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { recordedLog } from "#runtime/testing/log.ts";
import { testBroker, testVhost } from "#runtime/testing/broker.ts";
import { testProxy } from "#runtime/testing/proxy.ts";
import {
  EVENTS_EXCHANGE,
  QUEUES_EXCHANGE,
  delayKey,
  delayQueue,
  DELAY_TIERS,
} from "#runtime/messaging/topology/topology.ts";
import { run } from "#stack/process";
import { expireOverdue, orderEvents } from "./events.ts";
import { testOrders } from "./testing.ts";

const SWEEP_MS = 1_000;
const { subscriptions, snapshots } = catalogue;
const TIMER_EVENT = ExpirationCompleteSchema.typeName;

/** Orders with all its parts, on a broker that can be disconnected. */
async function ordersOnLine(holdSeconds: number) {
  const orders = await testOrders({ holdSeconds });
  const { deps } = orders;
  const vhost = await testVhost();
  const url = new URL(vhost);
  const line = await testProxy(Number(url.port));
  url.port = String(line.port);
  const { log, lines } = recordedLog();
  const broker = await testBroker("orders", subscriptions, { url: url.href, log, snapshots });
  const outbox = relay(deps.orders, { service: "orders", broker, subscriptions, log });
  onSaved(deps.orders, outbox.enqueue);
  const stop = await consume({
    service: "orders",
    broker,
    handlers: orderEvents(deps),
    log,
    isFault: () => false,
    recovered: () => Promise.resolve(),
  });

  // The events that tickets receives, by order, each once.
  const { raw } = await testBroker("tickets", subscriptions, { url: vhost, snapshots });
  const recorded = new Map<string, Map<string, string>>();
  const keep = ({ properties: { messageId, type, headers } }: ConsumeMessage) => {
    const id = String(headers?.["cloudEvents:subject"]);
    const events = recorded.get(id) ?? new Map<string, string>();
    recorded.set(id, events.set(String(messageId), String(type).replace(/.*\./, "")));
  };
  await raw.consume("tickets", (message) => message && keep(message), { noAck: true });

  const sweeps = new AbortController();
  const sweeping = (async () => {
    while (!sweeps.signal.aborted) {
      await expireOverdue(deps);
      await passing(SWEEP_MS, undefined, { signal: sweeps.signal }).catch(() => undefined);
    }
  })();
  onTestFinished(async () => {
    sweeps.abort();
    await sweeping;
    await stop();
    await outbox.close();
  });

  return {
    ...orders,
    ...{ vhost, line, broker, raw },
    /** Orders of as many buyers, each for its own ticket. */
    async buyMany(count: number): Promise<Order[]> {
      const made: Order[] = [];
      while (made.length < count) {
        const some = Array.from({ length: Math.min(25, count - made.length) }, async () =>
          orders.buy(await orders.ticket()),
        );
        made.push(...(await Promise.all(some)));
      }
      return made;
    },
    /** Resolves when no order holds a ticket, with how late each expired, in milliseconds. */
    async allFree(): Promise<number[]> {
      const held = () => deps.orders.countDocuments({ status: { $ne: "CANCELLED" } });
      await eventually(async () => (await held()) === 0, "every ticket to be free", 60_000);
      const all = await deps.orders.find().lean();
      expect(new Set(all.map(({ cancelReason }) => cancelReason))).toEqual(new Set(["EXPIRED"]));
      return all
        .map(({ updateTime, expiresAt }) => updateTime.getTime() - expiresAt.getTime())
        .toSorted((a, b) => a - b);
    },
    /** Resolves when tickets has received that each order was created and has expired. */
    async ticketsTold(made: Order[]): Promise<void> {
      const complete = () => made.every(({ id }) => (recorded.get(id)?.size ?? 0) >= 2);
      await eventually(complete, "tickets to be told of all orders", 60_000);
      for (const { id } of made) {
        const types = [...(recorded.get(id)?.values() ?? [])].toSorted();
        expect(types).toEqual(["OrderCreated", "OrderExpired"]);
      }
    },
    /** How many timer events it has received. */
    timerEvents: () =>
      lines.filter(({ event, type }) => event === "received" && type === TIMER_EVENT).length,
  };
}

/** A real process of expiration on this broker. */
async function expirationOn(vhost: string): Promise<void> {
  const env = { AMQP_URI: vhost, HOST: "127.0.0.1", RPC_PORT: "0", HTTP_PORT: "0" };
  const main = ["services/expiration/main.ts"];
  const child = run("expiration", process.execPath, main, { env: { ...env, DELAY: "native" } });
  onTestFinished(() => child.stop());
  const ready = () => {
    if (!child.running) throw new Error(child.tail());
    return child.tail().includes('"ready"');
  };
  await eventually(ready, "expiration to start");
}

/** Routes delayed messages to a queue that nothing reads; returns a function that counts them. */
async function throwAway(raw: Channel): Promise<() => Promise<number>> {
  const { queue } = await raw.assertQueue("thrown-away");
  for (const seconds of DELAY_TIERS) {
    const key = delayKey("*", seconds);
    await raw.bindQueue(queue, QUEUES_EXCHANGE, key);
    await raw.unbindQueue(delayQueue(seconds), QUEUES_EXCHANGE, key);
  }
  return async () => (await raw.checkQueue(queue)).messageCount;
}

describe("a hold that has run out", () => {
  it("expires though every delayed message is lost (P22)", async () => {
    const { vhost, raw, buy, buyMany, allFree, ticketsTold, timerEvents } = await ordersOnLine(10);
    await expirationOn(vhost);
    const thrownAway = await throwAway(raw);
    const made = await buyMany(50);
    const lost = async () => (await thrownAway()) === made.length;
    await eventually(lost, "all timers to be thrown away");
    const late = await allFree();
    console.log(`every timer lost: the last of ${made.length} holds ended ${late.at(-1)} ms late`);
    expect(timerEvents()).toBe(0);
    expect(late[0]).toBeGreaterThanOrEqual(0);
    expect(late.at(-1)).toBeLessThanOrEqual(60_000);
    await ticketsTold(made);
    const [first] = made;
    expect(await buy(first?.ticketId ?? "")).toMatchObject({ holdNumber: 2n });
  });

  it("expires though the broker is down, and only once when it is back (P20)", async () => {
    const { deps, line, broker, raw, buyMany, allFree, ticketsTold, timerEvents } =
      await ordersOnLine(2);
    line.cut();
    await eventually(() => !broker.connected, "the broker to be gone");
    const made = await buyMany(500);
    const late = await allFree();
    console.log(`no broker: the last of ${made.length} holds ended ${late.at(-1)} ms late`);
    expect(broker.connected).toBe(false);
    expect(late[0]).toBeGreaterThanOrEqual(0);
    expect(late.at(-1)).toBeLessThanOrEqual(10_000); // Two sweeps at the default interval.
    line.mend();
    await ticketsTold(made);
    // Their timer events arrive now, much later.
    for (const { id, expiresAt } of made) {
      const complete = { orderId: id, ...(expiresAt && { expiresAt }) };
      const body = toBinary(ExpirationCompleteSchema, create(ExpirationCompleteSchema, complete));
      const about = { id: newId(), type: TIMER_EVENT, source: "expiration", subject: id };
      const properties = toProperties({ ...about, time: new Date() });
      raw.publish(EVENTS_EXCHANGE, TIMER_EVENT, Buffer.from(body), {
        ...properties,
        userId: "expiration",
      });
    }
    await eventually(() => timerEvents() >= made.length, "the timer events");
    const drained = () => deps.orders.countDocuments({ "outbox._id": { $exists: true } });
    await eventually(async () => (await drained()) === 0, "the outboxes to be empty");
    const versions = await deps.orders.distinct("version");
    expect(versions).toEqual([2]);
    await ticketsTold(made);
  });

  it("is not expired by a timer event that came early", async () => {
    const { deps, handle, buy, ticket } = await testOrders({ holdSeconds: 900 });
    const { id } = await buy(await ticket());
    const expiresAt = timestampFromDate(new Date());
    await handle(ExpirationCompleteSchema, { orderId: id, expiresAt });
    await expireOverdue(deps);
    expect(await deps.orders.findById(id).orFail()).toMatchObject({ status: "CREATED" });
  });
});
