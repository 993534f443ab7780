import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  TicketSnapshotRequestedSchema,
  TicketSnapshotSchema,
  TicketUpdatedSchema,
  type TicketSnapshotRequested,
} from "@ticketing/proto/tickets/v1/ticket_events";
import { expect, it, onTestFinished } from "vitest";
import { subscriptions } from "#marketplace/catalogue.ts";
import { buildReplica } from "#runtime/messaging/snapshots/replica.ts";
import { consume } from "#runtime/messaging/consumer.ts";
import { newId } from "#runtime/store/ids.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { recordedLog } from "#runtime/testing/log.ts";
import { testBroker } from "#runtime/testing/broker.ts";
import { deadLetterQueue } from "#runtime/messaging/topology/topology.ts";
import { ticketReplica } from "./events.ts";
import { testOrders, ticketMessage } from "./testing.ts";

/** The edition that it requests, and that a current tickets service sends. */
const { edition = 1 } = ticketReplica({} as never);

/** Orders with an empty database on a real broker; the test acts as the tickets service. */
async function rebuilding() {
  const { deps, handle } = await testOrders();
  const { log, lines } = recordedLog();
  const broker = await testBroker("orders", subscriptions);
  const { raw } = broker;

  /** Starts one more instance; its `done` tells when its replica is complete. */
  async function start() {
    const copies = buildReplica(
      { service: "orders", broker, log },
      deps.tickets.db,
      ticketReplica(deps),
    );
    const stop = await consume({
      service: "orders",
      broker,
      handlers: [copies.handler],
      log,
      isFault: () => false,
      recovered: () => Promise.resolve(),
    });
    onTestFinished(stop);
    const state = { done: false, over: copies.untilComplete() };
    void state.over.then(() => (state.done = true));
    return state;
  }

  /** The next request to tickets. */
  async function asked(): Promise<TicketSnapshotRequested> {
    const message = await eventually(() => raw.get("tickets", { noAck: true }), "to be asked");
    return fromBinary(TicketSnapshotRequestedSchema, message.content);
  }

  let recorded = 0;
  /** Sends a page; resolves when orders has handled it. */
  async function tell(page: MessageInitShape<typeof TicketSnapshotSchema>): Promise<void> {
    const subject = `page ${(recorded += 1)}`;
    const body = Buffer.from(
      toBinary(TicketSnapshotSchema, create(TicketSnapshotSchema, { edition, ...page })),
    );
    const type = TicketSnapshotSchema.typeName;
    const headers = { "cloudEvents:subject": subject };
    await broker.publish("", "orders", body, { messageId: newId(), type, headers });
    await eventually(() => lines.some(({ id }) => id === subject), "the page to be dealt with");
  }

  const marker = () => deps.tickets.db.collection("bootstrap").findOne();
  const versions = async (): Promise<number[]> =>
    (await deps.tickets.find().sort({ _id: 1 }).lean()).map(({ version }) => version);
  const dead = async () => (await raw.checkQueue(deadLetterQueue("orders"))).messageCount;
  return { start, asked, tell, handle, marker, versions, dead, raw, lines };
}

it("a page that is older than an event changes nothing that the event has set", async () => {
  const { start, asked, tell, handle, versions } = await rebuilding();
  const { over } = await start();
  const [first, second] = [ticketMessage(), ticketMessage()];
  await handle(TicketUpdatedSchema, { ticket: { ...first, title: "News", version: 7n } });
  const { requestId } = await asked();
  await tell({ requestId, tickets: [second, first] });
  await over;
  expect(await versions()).toEqual([7, 1]);
});

it("a page that arrives again, or for another request, changes nothing", async () => {
  const { start, asked, tell, marker, versions, raw } = await rebuilding();
  const state = await start();
  const { requestId, requester } = await asked();
  expect(requester).toBe("orders");
  const ticket = ticketMessage();
  await tell({ requestId: newId(), tickets: [ticketMessage()] });
  await tell({ requestId, pageToken: "not yet", tickets: [ticketMessage()] });
  expect(await versions()).toEqual([]);

  const page = { requestId, tickets: [ticket], nextPageToken: ticket.id };
  await tell(page);
  expect(await asked()).toMatchObject({ requestId, pageToken: ticket.id });
  await tell(page);
  expect(await marker()).toMatchObject({ things: 1, pageToken: ticket.id });
  expect(await raw.get("tickets", { noAck: true })).toBe(false);
  expect(state.done).toBe(false);

  const last = { requestId, pageToken: ticket.id, tickets: [ticketMessage()] };
  await tell(last);
  await state.over;
  const end = await marker();
  await tell(last);
  await tell(page);
  expect(await marker()).toEqual(end);
  expect(await versions()).toEqual([1, 1]);
});

it("a page that is lost or cannot be stored is requested again", async () => {
  const { start, asked, tell, dead, versions, lines } = await rebuilding();
  const state = await start();
  const first = await asked();
  expect(await asked()).toEqual(first);
  const ticket = ticketMessage();
  await tell({ requestId: first.requestId, tickets: [{ ...ticket, price: undefined as never }] });
  expect(await asked()).toEqual(first);
  expect(lines.filter(({ level }) => level === 50)).toMatchObject([{ id: "page 1" }]);
  expect(state.done).toBe(false);
  await tell({ requestId: first.requestId, tickets: [ticket] });
  await state.over;
  expect(await versions()).toEqual([1]);
  expect(await dead()).toBe(0);
}, 30_000);

it("two instances that start at once share one rebuild", async () => {
  const { start, asked, tell, marker } = await rebuilding();
  const both = await Promise.all([start(), start()]);
  const [one, other] = [await asked(), await asked()];
  expect(one).toEqual(other);
  const ticket = ticketMessage();
  const page = { requestId: one.requestId, tickets: [ticket], nextPageToken: ticket.id };
  await Promise.all([tell(page), tell(page)]);
  expect(await asked()).toMatchObject({ pageToken: ticket.id });
  await tell({ requestId: one.requestId, pageToken: ticket.id });
  await Promise.all(both.map(({ over }) => over));
  expect(await marker()).toMatchObject({ things: 1 });
});

it("pages of an older edition are requested again, until another instance answers", async () => {
  const { start, asked, tell, versions, lines } = await rebuilding();
  const { over } = await start();
  const ticket = ticketMessage();
  const { requestId } = await asked();
  const old = tell({ requestId, tickets: [ticket], edition: 0 });
  const again = await asked();
  await old;
  expect(again.requestId).toBe(requestId);
  expect(await versions()).toEqual([]);
  expect(lines).toContainEqual(
    expect.objectContaining({ msg: "this instance of tickets sends an older edition" }),
  );
  await tell({ requestId, tickets: [ticket] });
  await over;
  expect(await versions()).toEqual([1]);
});
