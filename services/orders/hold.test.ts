import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { CancelReason, OrderStatus, type Order } from "@ticketing/proto/orders/v1/order";
import { TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import { TicketUpdatedSchema } from "@ticketing/proto/tickets/v1/ticket_events";
import {
  PaymentAuthorizedSchema,
  ChargeCreatedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { v4 } from "uuid";
import { describe, expect, it } from "vitest";
import { smallestIdAt, newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { expireOverdue } from "./events.ts";
import { paymentMessage, testOrders, ticketMessage, statusWordsOf } from "./testing.ts";

const { deps, client, handle, pass, ticket, buy, get, recorded } = await testOrders();

/** Lets several buyers hold one ticket: the orders made, and the errors. */
async function race(ticketId: string, buyers: string[]) {
  const calls = buyers.map((buyer) => buy(ticketId, buyer));
  const settled = await Promise.allSettled(calls);
  const orders = settled.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const refused = calls.filter((_, i) => settled[i]?.status === "rejected");
  return { orders, errors: await Promise.all(refused.map(refusal)) };
}

const buyers = (count: number): string[] => Array.from({ length: count }, () => newId());

describe("one ticket has one open order", () => {
  it("when thirty buyers press Buy at once", async () => {
    for (let round = 0; round < 5; round += 1) {
      const { orders, errors } = await race(await ticket(), buyers(30));
      expect(orders).toHaveLength(1);
      const until = orders[0]?.expiresAt && timestampDate(orders[0].expiresAt).toISOString();
      expect(errors).toHaveLength(29);
      for (const refused of errors) {
        expect(refused).toMatchObject({
          code: Code.FailedPrecondition,
          reason: "TICKET_HELD",
          metadata: { until },
        });
      }
    }
  });

  it("when all of them find a hold that has run out", async () => {
    const ticketId = await ticket();
    const first = await buy(ticketId);
    pass(901);
    const { orders, errors } = await race(ticketId, buyers(20));
    expect(orders.map(({ holdNumber }) => holdNumber)).toEqual([2n]);
    expect(new Set(errors.map(({ reason }) => reason))).toEqual(new Set(["TICKET_HELD"]));
    expect(statusWordsOf(await get(first))).toBe("CANCELLED EXPIRED");
    expect((await recorded(first.id)).map(({ type }) => type)).toEqual([
      "OrderCreated",
      "OrderExpired",
    ]);
  });

  it("when it is held and cancelled many times, and its holds are numbered in order", async () => {
    const ticketId = await ticket();
    const made: Order[] = [];
    for (let round = 0; round < 4; round += 1) {
      const { orders } = await race(ticketId, buyers(5));
      expect(orders).toHaveLength(1);
      const order = orders[0] as Order;
      made.push(order);
      await client.cancelOrder({ id: order.id }, await as(order.userId));
    }
    expect(made.map(({ holdNumber }) => holdNumber)).toEqual([1n, 2n, 3n, 4n]);
  });

  it("because of the database's unique index, even without the code around it", async () => {
    const order = await deps.orders
      .findById((await buy(await ticket())).id)
      .lean()
      .orFail();
    for (const status of ["CREATED", "AWAITING_PAYMENT", "COMPLETED"] as const) {
      const second = { ...order, _id: newId(), userId: newId(), holdNumber: 7, status };
      await expect(deps.orders.collection.insertOne(second as never)).rejects.toThrow(
        "index: hold",
      );
    }
    const sameNumber = { ...order, _id: newId(), status: "CANCELLED" };
    await expect(deps.orders.collection.insertOne(sameNumber as never)).rejects.toThrow(
      "index: holdNumber",
    );
  });
});

describe("an order", () => {
  it("holds the ticket for 15 minutes at its current price and title", async () => {
    const ticketId = await ticket({
      userId: "sam",
      title: "A match",
      price: { currencyCode: "JPY", units: 5000n },
    });
    const begun = deps.now();
    const order = await buy(ticketId, "ann");
    expect(order).toMatchObject({
      userId: "ann",
      sellerId: "sam",
      ticketId,
      title: "A match",
      price: { currencyCode: "JPY", units: 5000n, nanos: 0 },
      status: OrderStatus.CREATED,
      cancelReason: CancelReason.UNSPECIFIED,
      version: 1n,
      holdNumber: 1n,
    });
    const heldFor = (order.expiresAt ? timestampDate(order.expiresAt).getTime() : 0) - begun;
    expect(heldFor).toBeGreaterThanOrEqual(900_000);
    expect(heldFor).toBeLessThan(905_000);
  });

  it("keeps its title and price when the ticket is edited later", async () => {
    const id = await ticket();
    const order = await buy(id);
    const edited = ticketMessage({
      id,
      title: "Dearer",
      price: { currencyCode: "EUR", units: 90n },
      version: 2n,
    });
    await handle(TicketUpdatedSchema, { ticket: edited });
    expect(await get(order)).toMatchObject({ title: "A concert", price: { units: 20n } });
  });
});

describe("a retried request", () => {
  it("returns the order that it made, also when it is sent three times at once", async () => {
    for (let round = 0; round < 5; round += 1) {
      const ticketId = await ticket();
      const requestId = v4();
      const buyer = newId();
      const made = await Promise.all([1, 2, 3].map(() => buy(ticketId, buyer, { requestId })));
      made.push(await buy(ticketId, buyer, { requestId: requestId.toUpperCase() }));
      expect(new Set(made.map(({ id }) => id)).size).toBe(1);
      expect(await deps.orders.countDocuments({ ticketId })).toBe(1);
    }
  });

  it("returns the order in its current state", async () => {
    const ticketId = await ticket();
    const requestId = v4();
    const order = await buy(ticketId, "ann", { requestId });
    await client.cancelOrder({ id: order.id }, await as("ann"));
    const again = await buy(ticketId, "ann", { requestId });
    expect(again.id).toBe(order.id);
    expect(statusWordsOf(again)).toBe("CANCELLED BUYER");
  });

  it("returns it at the limits too, and after the ticket is gone", async () => {
    const ticketId = await ticket();
    const buyer = newId();
    const requestId = v4();
    for (let i = 0; i < 2; i += 1) {
      const { id } = await buy(ticketId, buyer);
      await client.cancelOrder({ id }, await as(buyer));
    }
    const [one, two] = await Promise.all([1, 2].map(() => buy(ticketId, buyer, { requestId })));
    expect(one?.id).toBe(two?.id);
    const withdrawn = ticketMessage({ id: ticketId, status: TicketStatus.WITHDRAWN, version: 2n });
    await handle(TicketUpdatedSchema, { ticket: withdrawn });
    expect((await buy(ticketId, buyer, { requestId })).id).toBe(one?.id);
  });

  it("is refused if it asks for something else", async () => {
    const requestId = v4();
    const order = await buy(await ticket(), "ann", { requestId });
    for (const [ticketId, ticketVersion] of [
      [await ticket(), 0n],
      [order.ticketId, 1n],
    ]) {
      const other = buy(ticketId as string, "ann", { requestId, ticketVersion });
      expect(await refusal(other)).toMatchObject({
        code: Code.InvalidArgument,
        reason: "REQUEST_ID_REUSED",
      });
    }
  });

  it("counts as another request if another user sends it", async () => {
    const requestId = v4();
    const [ann, bob] = [newId(), newId()];
    const first = await buy(await ticket(), ann, { requestId });
    const second = await buy(await ticket(), bob, { requestId });
    expect(second.id).not.toBe(first.id);
    expect(second.userId).toBe(bob);
  });

  it("may succeed after it was refused", async () => {
    const ticketId = await ticket();
    const holder = await buy(ticketId);
    const requestId = v4();
    const buyer = newId();
    expect((await refusal(buy(ticketId, buyer, { requestId }))).reason).toBe("TICKET_HELD");
    await client.cancelOrder({ id: holder.id }, await as(holder.userId));
    expect((await buy(ticketId, buyer, { requestId })).holdNumber).toBe(2n);
  });
});

describe("Buy is refused", () => {
  it("to a buyer who holds the ticket already, with the id of their order", async () => {
    const order = await buy(await ticket(), "ann");
    expect(await refusal(buy(order.ticketId, "ann"))).toMatchObject({
      code: Code.FailedPrecondition,
      reason: "ALREADY_HOLDING",
      metadata: { order_id: order.id },
    });
  });

  it("for the buyer's own ticket", async () => {
    const refused = await refusal(buy(await ticket({ userId: "ann" }), "ann"));
    expect(refused).toMatchObject({ code: Code.FailedPrecondition, reason: "OWN_TICKET" });
  });

  it("for a ticket that is withdrawn at the moment it is held", async () => {
    const id = await ticket();
    const held = { id, status: TicketStatus.HELD, withdrawn: true, version: 2n };
    await handle(TicketUpdatedSchema, { ticket: ticketMessage(held) });
    expect((await refusal(buy(id))).reason).toBe("TICKET_WITHDRAWN");
  });

  it("for a withdrawn ticket", async () => {
    const refused = await refusal(buy(await ticket({ status: TicketStatus.WITHDRAWN })));
    expect(refused).toMatchObject({ code: Code.FailedPrecondition, reason: "TICKET_WITHDRAWN" });
  });

  it("once the event has begun", async () => {
    const seconds = BigInt(Math.floor(deps.now() / 1000) + 60);
    const ticketId = await ticket({ eventTime: { seconds } });
    const order = await buy(ticketId);
    await client.cancelOrder({ id: order.id }, await as(order.userId));
    pass(61);
    const refused = await refusal(buy(ticketId));
    expect(refused).toMatchObject({ code: Code.FailedPrecondition, reason: "EVENT_BEGUN" });
  });

  it("for a sold ticket", async () => {
    const order = await buy(await ticket());
    await handle(PaymentAuthorizedSchema, paymentMessage(order.id, "a"));
    await handle(ChargeCreatedSchema, paymentMessage(order.id, "a"));
    const refused = await refusal(buy(order.ticketId));
    expect(refused).toMatchObject({ code: Code.FailedPrecondition, reason: "TICKET_SOLD" });
  });

  it("if the price is no longer the one on the screen, whatever else has changed", async () => {
    const id = await ticket();
    const edit = (version: bigint, priceVersion: bigint) =>
      handle(TicketUpdatedSchema, { ticket: ticketMessage({ id, version, priceVersion }) });
    await edit(2n, 1n);
    const order = await buy(id, newId(), { ticketVersion: 1n });
    await client.cancelOrder({ id: order.id }, await as(order.userId));
    await edit(3n, 3n);
    expect(await refusal(buy(id, newId(), { ticketVersion: 2n }))).toMatchObject({
      code: Code.FailedPrecondition,
      reason: "PRICE_CHANGED",
      metadata: { version: "3" },
    });
    expect((await buy(id, newId(), { ticketVersion: 3n })).status).toBe(OrderStatus.CREATED);
  });

  it("for the moment, if the ticket or the version that was seen is not replicated yet", async () => {
    const here = await testOrders();
    const soon = { code: Code.Unavailable, reason: "NOT_READY", retryAfterMs: 200 };
    const seen = { ticketVersion: 2n };
    expect(await refusal(here.buy(await here.ticket(), newId(), seen))).toMatchObject(soon);
    const born = newId();
    expect(await refusal(here.buy(born))).toMatchObject(soon);
    // The longer it lasts, the longer the retry delay.
    here.pass(3_600);
    expect(await refusal(here.buy(born))).toMatchObject({ ...soon, retryAfterMs: 60_000 });
    here.pass(86_400);
    expect(await refusal(here.buy(born))).toMatchObject({ reason: "TICKET_NOT_FOUND" });
  });

  it.each([
    ["of another kind of UUID", "0b8f7c2e-55d4-4c5e-9d3b-0f6c6d1d3c11"],
    ["that was made long ago", "01890000-0000-7000-8000-000000000000"],
    ["of a time to come, which nobody has made", "ffffffff-ffff-7000-8000-000000000000"],
    ["of this time tomorrow", smallestIdAt(Date.now() + 86_400_000)],
  ])("for an unknown ticket with an id %s", async (_, id) => {
    const refused = await refusal(buy(id));
    expect(refused).toMatchObject({ code: Code.NotFound, reason: "TICKET_NOT_FOUND" });
  });

  it("to callers who are not signed in, and without a ticket", async () => {
    expect((await refusal(client.createOrder({ ticketId: await ticket() }))).code).toBe(
      Code.Unauthenticated,
    );
    expect(await refusal(buy(""))).toMatchObject({ violations: ["ticket_id STRING_UUID_EMPTY"] });
  });
});

describe("a buyer", () => {
  it("has at most ten open orders at a time", async () => {
    const buyer = newId();
    const made = await Promise.all(
      Array.from({ length: 10 }, async () => buy(await ticket(), buyer)),
    );
    expect(await refusal(buy(await ticket(), buyer))).toMatchObject({
      code: Code.ResourceExhausted,
      reason: "TOO_MANY_OPEN_ORDERS",
    });
    const [given] = made as [Order];
    expect((await refusal(buy(given.ticketId, buyer))).reason).toBe("ALREADY_HOLDING");
    await client.cancelOrder({ id: given.id }, await as(buyer));
    expect((await buy(await ticket(), buyer)).status).toBe(OrderStatus.CREATED);
  });

  it("holds the same ticket at most three times an hour", async () => {
    const ticketId = await ticket();
    const buyer = newId();
    for (let i = 0; i < 3; i += 1) {
      const { id } = await buy(ticketId, buyer);
      await client.cancelOrder({ id }, await as(buyer));
    }
    expect(await refusal(buy(ticketId, buyer))).toMatchObject({
      code: Code.ResourceExhausted,
      reason: "TOO_MANY_HOLDS",
      retryAfterMs: 3_600_000,
    });
    expect((await buy(await ticket(), buyer)).status).toBe(OrderStatus.CREATED);
    expect((await buy(ticketId, newId())).holdNumber).toBe(4n);
    pass(3601);
    await expireOverdue(deps);
    expect((await buy(ticketId, buyer)).holdNumber).toBe(5n);
  });
});

describe("the limit of open orders", () => {
  it("holds when all of them are requested at once", async () => {
    const [buyer, ids] = [newId(), await Promise.all(Array.from({ length: 40 }, () => ticket()))];
    const calls = await Promise.allSettled(ids.map((id) => buy(id, buyer)));
    const made = calls.filter(({ status }) => status === "fulfilled").length;
    const open = await deps.orders.countDocuments({ userId: buyer, status: "CREATED" });
    expect(open).toBe(made);
    expect(open).toBeLessThanOrEqual(deps.maxOpenOrders);
  });
});
