import { onSaved } from "#runtime/store/aggregate.ts";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { OrderCreatedSchema, OrderExpiredSchema } from "@ticketing/proto/orders/v1/order_events";
import type { Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { TicketUpdatedSchema } from "@ticketing/proto/tickets/v1/ticket_events";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { subscriptions } from "#marketplace/catalogue.ts";
import { toProperties } from "#runtime/messaging/topology/envelope.ts";
import { consume } from "#runtime/messaging/consumer.ts";
import { newId } from "#runtime/store/ids.ts";
import { isDatabaseFault } from "#runtime/store/database.ts";
import { relay } from "#runtime/messaging/relay.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { silentLog } from "#runtime/testing/log.ts";
import { testBroker, type TestBroker } from "#runtime/testing/broker.ts";
import { deadLetterQueue, EVENTS_EXCHANGE } from "#runtime/messaging/topology/topology.ts";
import { expireOverdue, orderEvents } from "./events.ts";
import { testOrders, ticketMessage } from "./testing.ts";

// Orders with its real queue and its real outbox.
const broker = await testBroker("orders", subscriptions);
const { raw } = broker;
const service = await testOrders();
const { deps, buy, pass } = service;

/** Consumes events until the test ends or the returned function is called. */
async function start(through: TestBroker = broker): Promise<() => Promise<void>> {
  const handlers = orderEvents(deps);
  const faults = { isFault: isDatabaseFault, recovered: () => Promise.resolve() };
  const about = { service: "orders", broker: through, handlers, log: silentLog, ...faults };
  const stop = await consume(about);
  onTestFinished(stop);
  return stop;
}

/** Publishes a ticket as tickets does; `body` replaces the event's bytes. */
function tell(ticket: Ticket, body?: Uint8Array): Promise<void> {
  const { typeName: type } = TicketUpdatedSchema;
  const bytes = body ?? toBinary(TicketUpdatedSchema, create(TicketUpdatedSchema, { ticket }));
  const event = { id: newId(), type, source: "tickets", subject: ticket.id, time: new Date() };
  return broker.publish(EVENTS_EXCHANGE, type, Buffer.from(bytes), {
    ...toProperties(event),
    mandatory: true,
  });
}

const settled = (): Promise<boolean> =>
  eventually(async () => (await raw.checkQueue("orders")).messageCount === 0, "an empty queue");

describe("orders and its broker", () => {
  it("replicates a ticket, sells it, and publishes the events of the order", async () => {
    const stop = await start();
    const publishing = relay(deps.orders, {
      service: "orders",
      broker,
      subscriptions,
      log: silentLog,
    });
    onSaved(deps.orders, publishing.enqueue);
    onTestFinished(() => publishing.close());
    const ticket = ticketMessage();
    const early = await refusal(buy(ticket.id));
    expect(early).toMatchObject({ reason: "NOT_READY", retryAfterMs: 200 });
    await tell(ticket);
    await eventually(() => deps.tickets.findById(ticket.id).lean(), "the copy");
    const order = await buy(ticket.id);
    pass(901);
    await expireOverdue(deps);
    for (const queue of ["tickets", "payments"]) {
      const heard = [OrderCreatedSchema, OrderExpiredSchema];
      for (const [i, schema] of heard.entries()) {
        const message = await eventually(
          () => raw.get(queue, { noAck: true }),
          `an event in ${queue}`,
        );
        expect(message.properties.type).toBe(schema.typeName);
        const event = fromBinary(schema, message.content);
        expect(event.order).toMatchObject({ id: order.id, version: BigInt(i + 1), holdNumber: 1n });
      }
    }
    const last = await eventually(
      () => raw.get("expiration", { noAck: true }),
      "the timer's event",
    );
    expect(last.properties.type).toBe(OrderCreatedSchema.typeName);
    await stop();
    await publishing.close(); // The broker confirms a message after it has delivered it.
    // The relay removes what is published without waiting for the majority.
    const unpublished = deps.orders.countDocuments({ "outbox._id": { $exists: true } });
    expect(await unpublished.readConcern("local")).toBe(0);
  });

  it("ends with the newest state, though events arrive three times, in any order, among broken ones, and the service stops in between", async () => {
    const lives = Array.from({ length: 60 }, () => {
      const id = newId();
      const at = (version: number): Ticket =>
        ticketMessage({ id, version: BigInt(version), title: `as of ${version}` });
      return [at(1), at(2), at(3)] as const;
    });
    const events = lives.flat();
    const repeated = fc.shuffledSubarray([...events, ...events, ...events], {
      minLength: events.length * 3,
    });
    const [heard = []] = fc.sample(repeated, { numRuns: 1, seed: 7 });
    const broken = 20;
    let stop = await start();
    for (const [i, ticket] of heard.entries()) {
      await tell(ticket);
      if (i % 27 === 0) await tell(ticket, Buffer.from([0xff, i % 256]));
      if (i === 200) {
        await stop();
        stop = await start(await testBroker("orders", subscriptions, { url: broker.url }));
      }
    }
    await settled();
    await stop();
    const copies = await deps.tickets.find({ _id: { $in: lives.map(([{ id }]) => id) } }).lean();
    expect(copies).toHaveLength(60);
    for (const copy of copies) expect(copy).toMatchObject({ version: 3, title: "as of 3" });
    expect((await raw.checkQueue(deadLetterQueue("orders"))).messageCount).toBe(broken);
  });
});
