import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import type { Order } from "@ticketing/proto/orders/v1/order";
import { Category, type Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { TicketUpdatedSchema } from "@ticketing/proto/tickets/v1/ticket_events";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { expireOverdue, orderSnapshots, ticketReplica } from "./events.ts";
import { testOrders, ticketMessage } from "./testing.ts";

const { client, deps, handle, pass, ticket, buy, get, recorded } = await testOrders();

/** A ticket with these versions: of its last change, of its price, of its details. */
async function changed(version: bigint, priceVersion: bigint, detailsVersion: bigint) {
  const id = await ticket({ detailsVersion: 1n });
  const now = ticketMessage({ id, version, priceVersion, detailsVersion });
  await handle(TicketUpdatedSchema, { ticket: now });
  return id;
}

describe("Buy, with the version that the buyer saw (R15)", () => {
  it.each([
    { what: "title, date, venue or category", price: 1n, details: 3n, reason: "TICKET_CHANGED" },
    { what: "the price alone", price: 3n, details: 1n, reason: "PRICE_CHANGED" },
    { what: "both at once", price: 3n, details: 3n, reason: "TICKET_CHANGED" },
    { what: "the price, then the rest", price: 2n, details: 3n, reason: "TICKET_CHANGED" },
    { what: "the rest, then the price", price: 3n, details: 2n, reason: "TICKET_CHANGED" },
  ])("is refused where $what has changed since: $reason", async ({ price, details, reason }) => {
    const id = await changed(3n, price, details);
    expect(await refusal(buy(id, newId(), { ticketVersion: 1n }))).toMatchObject({
      code: Code.FailedPrecondition,
      reason,
      metadata: { version: "3" },
    });
    expect(await deps.orders.countDocuments({ ticketId: id })).toBe(0);
  });

  it("is refused with PRICE_CHANGED if the other details changed before the buyer looked", async () => {
    const id = await changed(3n, 3n, 2n);
    expect((await refusal(buy(id, newId(), { ticketVersion: 2n }))).reason).toBe("PRICE_CHANGED");
  });

  it("succeeds if the ticket changed in nothing that a buyer sees", async () => {
    const id = await changed(9n, 1n, 1n);
    expect((await buy(id, newId(), { ticketVersion: 1n })).ticketId).toBe(id);
  });

  it("succeeds at the new state, once the buyer has seen it", async () => {
    const id = await changed(3n, 2n, 3n);
    expect((await buy(id, newId(), { ticketVersion: 3n })).ticketId).toBe(id);
  });

  it.each([9_007_199_254_740_991n, 100_000n])(
    "is refused permanently if no ticket can have had that many versions: %d",
    async (ticketVersion) => {
      const id = await changed(3n, 1n, 1n);
      const refused = await refusal(buy(id, newId(), { ticketVersion }));
      expect(refused).toMatchObject({ code: Code.InvalidArgument, retryAfterMs: undefined });
      expect(refused.violations).toEqual(["ticket_version"]);
    },
  );

  it("is refused by the contract if the version is out of range", async () => {
    const id = await changed(3n, 1n, 1n);
    const refused = await refusal(buy(id, newId(), { ticketVersion: 2n ** 63n - 1n }));
    expect(refused.violations).toEqual(["ticket_version INT64_GTE_LTE"]);
  });

  it("succeeds if tickets has not published when the details changed", async () => {
    const id = await changed(3n, 1n, 0n);
    expect((await buy(id, newId(), { ticketVersion: 1n })).ticketId).toBe(id);
  });
});

const eventTime = timestampFromDate(new Date("2090-06-04T18:00:00Z"));
const timeZone = "Europe/London";
const look = { title: "A match", venue: "The Oval", category: Category.SPORT, eventTime, timeZone };
const price = { currencyCode: "JPY", units: 5_000n, nanos: 0 };

/** The ticket after its seller has changed everything that a buyer sees. */
const otherwise = (id: string): Ticket =>
  ticketMessage({
    ...{ id, title: "A play", venue: "Elsewhere", category: Category.THEATRE },
    ...{ version: 2n, priceVersion: 2n, detailsVersion: 2n },
  });

describe("an order", () => {
  const all = { ...look, price, sellerId: "sam" };

  async function bought(): Promise<Order> {
    return buy(await ticket({ userId: "sam", ...look, price }), "ann");
  }

  it("keeps all that its buyer saw, and its event carries it", async () => {
    const order = await bought();
    expect(order).toMatchObject(all);
    expect((await recorded(order.id))[0]?.order).toMatchObject(all);
  });

  it("shows what its buyer saw, whatever becomes of the ticket, alone, in lists and in snapshots", async () => {
    const order = await bought();
    await handle(TicketUpdatedSchema, { ticket: otherwise(order.ticketId) });
    expect(await get(order)).toMatchObject(all);
    const { orders } = await client.listOrders({}, await as("ann"));
    expect(orders.find(({ id }) => id === order.id)).toMatchObject(all);
    pass(901);
    await expireOverdue(deps);
    expect(await get(order)).toMatchObject(all);
    expect((await recorded(order.id)).at(-1)?.order).toMatchObject(all);
    const stored = await deps.orders.findById(order.id).lean().orFail();
    expect(orderSnapshots(deps).toPage([stored]).orders?.[0]).toMatchObject(all);
  });

  it("of a ticket without venue and category has neither", async () => {
    const order = await buy(await ticket());
    expect(order).toMatchObject({ venue: "", category: Category.UNSPECIFIED, timeZone: "" });
    expect(order.eventTime).toBeUndefined();
  });

  it("stored before venue and category existed is shown without them", async () => {
    const order = await bought();
    const before = { $unset: { venue: 1, category: 1 } } as const;
    await deps.orders.collection.updateOne({ _id: order.id as never }, before);
    const old = await get(order);
    expect(old.venue).toBeUndefined();
    expect(old).toMatchObject({ title: "A match", category: Category.UNSPECIFIED, eventTime });
  });
});

describe("a replica of a ticket stored before all seen details were replicated", () => {
  it.each([
    ["venue and category", { venue: 1, category: 1, detailsVersion: 1 }],
    ["the time zone", { timeZone: 1 }],
  ])("is given %s by a snapshot of the same version", async (_, fields) => {
    const state = ticketMessage(look);
    const { applyIfNewer } = ticketReplica(deps);
    await applyIfNewer(state);
    await deps.tickets.collection.updateOne({ _id: state.id as never }, {
      $unset: fields,
    } as never);
    await applyIfNewer(state);
    expect(await buy(state.id)).toMatchObject(look);
  });

  it("is not set back by a snapshot of an older version", async () => {
    const { applyIfNewer } = ticketReplica(deps);
    const state = ticketMessage({ ...look, version: 2n });
    await applyIfNewer(state);
    const before = { $unset: { venue: 1, category: 1, detailsVersion: 1 } } as const;
    await deps.tickets.collection.updateOne({ _id: state.id as never }, before);
    await applyIfNewer(ticketMessage({ id: state.id, title: "Older" }));
    expect(await deps.tickets.findById(state.id).lean()).toMatchObject({ title: "A match" });
  });
});
