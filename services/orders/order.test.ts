import { Code } from "@connectrpc/connect";
import { ExpirationCompleteSchema } from "@ticketing/proto/expiration/v1/expiration_events";
import type { Order } from "@ticketing/proto/orders/v1/order";
import {
  ChargeCreatedSchema,
  ChargeFailedSchema,
  ChargeRefundedSchema,
  PaymentAuthorizedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import { TicketUpdatedSchema } from "@ticketing/proto/tickets/v1/ticket_events";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { recordedLog } from "#runtime/testing/log.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { cases } from "#runtime/testing/thoroughness.ts";
import { expireOverdue } from "./events.ts";
import type { Orders } from "./order.ts";
import { paymentMessage, testOrders, ticketMessage, statusWordsOf } from "./testing.ts";

const { deps, client, handle, pass, ticket, buy, get, recorded } = await testOrders();

const cancel = async ({ id, userId }: Order): Promise<Order | undefined> =>
  (await client.cancelOrder({ id }, await as(userId))).order;

const events = {
  authorized: PaymentAuthorizedSchema,
  charged: ChargeCreatedSchema,
  failed: ChargeFailedSchema,
  refunded: ChargeRefundedSchema,
};

/** Handles a payment event. */
const payment = (what: keyof typeof events, { id }: Order, attempt: string): Promise<void> =>
  handle(events[what], paymentMessage(id, attempt));

/** Handles the timer event of an order. */
const handleTimer = ({ id, expiresAt }: Order): Promise<void> =>
  handle(ExpirationCompleteSchema, { orderId: id, ...(expiresAt && { expiresAt }) });

const ordered = async (): Promise<Order> => buy(await ticket());
const state = async (order: Order): Promise<string> => statusWordsOf(await get(order));
const history = async ({ id }: Order): Promise<string[]> =>
  (await recorded(id)).map(({ type }) => type);

/** Inserts overdue orders into the database, oldest first. */
async function putOverdue({ orders }: { orders: Orders }, count: number): Promise<string[]> {
  const expiresAt = new Date(Date.now() - 60_000);
  const usual = { userId: "ann", sellerId: "sam", title: "A", price: 1, currency: "EUR" };
  const made = Array.from({ length: count }, (_, i) => ({
    ...{ ...usual, _id: newId(), ticketId: newId(), status: "CREATED", holdNumber: 1, version: 1 },
    ...{ expiresAt: new Date(expiresAt.getTime() + i), outbox: [] },
  }));
  await orders.insertMany(made);
  return made.map(({ _id }) => _id);
}

describe("cancelling", () => {
  it("frees the ticket at once, and succeeds again without another event", async () => {
    const order = await ordered();
    const cancelled = await cancel(order);
    expect(cancelled && statusWordsOf(cancelled)).toBe("CANCELLED BUYER");
    expect((await buy(order.ticketId)).holdNumber).toBe(2n);
    expect(await cancel(order)).toEqual(cancelled);
    expect(await history(order)).toEqual(["OrderCreated", "OrderCancelled"]);
  });

  it("is refused once a payment is accepted, and afterwards", async () => {
    const order = await ordered();
    const refused = { code: Code.FailedPrecondition, reason: "ORDER_NOT_OPEN" };
    await payment("authorized", order, "a");
    expect(await refusal(cancel(order))).toMatchObject(refused);
    await payment("charged", order, "a");
    expect(await refusal(cancel(order))).toMatchObject(refused);
    expect(await state(order)).toBe("COMPLETED");
  });

  it("and a payment at the same moment: one of them wins, and the other changes nothing", async () => {
    const ends = new Set<string>();
    for (let round = 0; round < 15; round += 1) {
      const order = await ordered();
      const both = [cancel(order), payment("authorized", order, "a")];
      const [cancelled] = await Promise.allSettled(round % 2 === 0 ? both : both.toReversed());
      const end = await state(order);
      ends.add(end);
      expect(["CANCELLED BUYER", "AWAITING_PAYMENT"]).toContain(end);
      expect(await history(order)).toHaveLength(2);
      expect(cancelled).toBeDefined();
    }
    expect(ends.size).toBeGreaterThan(0);
  });
});

describe("a hold that has run out", () => {
  it("and a payment at the same instant have one winner (P21)", async () => {
    for (let round = 0; round < 15; round += 1) {
      const order = await ordered();
      pass(901);
      const both = [handleTimer(order), payment("authorized", order, "a")];
      await Promise.all(round % 2 === 0 ? both : both.toReversed());
      const [end, events] = [await state(order), await history(order)];
      const ends: Record<string, string> = {
        "CANCELLED EXPIRED": "OrderExpired",
        AWAITING_PAYMENT: "OrderAwaitingPayment",
      };
      expect(events, `round ${round}`).toEqual(["OrderCreated", ends[end]]);
    }
  });

  it("expires once, however many timer events arrive", async () => {
    const order = await ordered();
    pass(901);
    await Promise.all([handleTimer(order), handleTimer(order), expireOverdue(deps)]);
    await handleTimer(order);
    expect(await state(order)).toBe("CANCELLED EXPIRED");
    expect(await history(order)).toEqual(["OrderCreated", "OrderExpired"]);
  });

  it("is not expired by a timer event that arrives early", async () => {
    const order = await ordered();
    pass(890);
    await handleTimer(order);
    await expireOverdue(deps);
    expect(await state(order)).toBe("CREATED");
    expect((await refusal(buy(order.ticketId))).reason).toBe("TICKET_HELD");
    expect(await history(order)).toEqual(["OrderCreated"]);
  });

  it("is found by the sweep, though no timer event arrives", async () => {
    const orders = await Promise.all(Array.from({ length: 20 }, ordered));
    pass(901);
    await Promise.all([expireOverdue(deps), expireOverdue(deps)]);
    for (const order of orders) {
      expect(await state(order)).toBe("CANCELLED EXPIRED");
      expect(await history(order)).toEqual(["OrderCreated", "OrderExpired"]);
    }
  });

  it("is expired with all others, though one of them cannot be", async () => {
    const { log, lines } = recordedLog();
    const { deps } = await testOrders({ log });
    const [stuck = "", ...others] = await putOverdue(deps, 601);
    const full = Array.from({ length: 100 }, () => ({
      ...{ _id: newId(), type: "t", time: new Date(), payload: Buffer.alloc(0) },
    }));
    await deps.orders.updateOne({ _id: stuck }, { $set: { outbox: full } });
    await expireOverdue(deps);
    expect(await deps.orders.countDocuments({ cancelReason: "EXPIRED" })).toBe(others.length);
    const warnings = lines.filter(({ level }) => level === 40);
    expect(warnings).toEqual([expect.objectContaining({ id: stuck })]);
    await deps.orders.updateOne({ _id: stuck }, { $set: { outbox: [] } });
    await expireOverdue(deps);
    expect(await deps.orders.countDocuments({ status: "CREATED" })).toBe(0);
  });

  it("does not expire if it is being paid, or is paid", async () => {
    const [paying, paid] = [await ordered(), await ordered()];
    await payment("authorized", paying, "a");
    await payment("authorized", paid, "a");
    await payment("charged", paid, "a");
    pass(901);
    for (const order of [paying, paid]) await handleTimer(order);
    await expireOverdue(deps);
    expect([await state(paying), await state(paid)]).toEqual(["AWAITING_PAYMENT", "COMPLETED"]);
  });

  it("and whose order is unknown is ignored", async () => {
    await handle(ExpirationCompleteSchema, { orderId: newId() });
  });
});

describe("a payment", () => {
  it("that was authorized is accepted whatever the clock says, if nothing has ended the order", async () => {
    const order = await ordered();
    pass(901);
    await payment("authorized", order, "a");
    await expireOverdue(deps);
    await payment("charged", order, "a");
    expect(await state(order)).toBe("COMPLETED");
    expect(await history(order)).toEqual([
      "OrderCreated",
      "OrderAwaitingPayment",
      "OrderCompleted",
    ]);
  });

  it.each([
    ["expired", async (order: Order) => (pass(901), handleTimer(order)), "CANCELLED EXPIRED"],
    ["was cancelled", cancel, "CANCELLED BUYER"],
  ] as const)("is too late for an order that %s", async (_, end, words) => {
    const order = await ordered();
    await end(order);
    await payment("authorized", order, "a");
    await payment("charged", order, "a");
    expect(await state(order)).toBe(words);
    expect(await history(order)).toHaveLength(2);
  });

  it("that was accepted is the only one that completes or ends the order", async () => {
    const order = await ordered();
    await payment("authorized", order, "a");
    for (const what of ["authorized", "charged", "failed", "refunded"] as const) {
      await payment(what, order, "b");
    }
    expect(await state(order)).toBe("AWAITING_PAYMENT");
    expect((await get(order)).attemptId).toBe("a");
    await payment("charged", order, "a");
    expect(await state(order)).toBe("COMPLETED");
    for (const what of ["charged", "failed", "refunded"] as const) await payment(what, order, "b");
    expect(await state(order)).toBe("COMPLETED");
  });

  it("that was declined cancels the order (R61)", async () => {
    const order = await ordered();
    await payment("failed", order, "a");
    expect(await state(order)).toBe("CANCELLED PAYMENT_FAILED");
    expect((await buy(order.ticketId)).holdNumber).toBe(2n);
  });

  it("that was accepted and could not be captured cancels the order", async () => {
    const order = await ordered();
    await payment("authorized", order, "a");
    await payment("failed", order, "a");
    expect(await state(order)).toBe("CANCELLED PAYMENT_FAILED");
  });

  it("that was refunded cancels the order, and the ticket stays withdrawn until its seller relists it", async () => {
    const order = await ordered();
    const { ticketId: id } = order;
    const echo = (version: bigint, status: TicketStatus): Promise<void> =>
      handle(TicketUpdatedSchema, { ticket: ticketMessage({ id, version, status }) });
    for (const what of ["authorized", "charged"] as const) await payment(what, order, "a");
    await echo(2n, TicketStatus.SOLD);
    await payment("refunded", order, "a");
    expect(await state(order)).toBe("CANCELLED REFUNDED");
    expect((await refusal(buy(id))).reason).toBe("TICKET_SOLD");
    await echo(3n, TicketStatus.WITHDRAWN);
    expect((await refusal(buy(id))).reason).toBe("TICKET_WITHDRAWN");
    await echo(4n, TicketStatus.ON_SALE);
    expect((await buy(id)).holdNumber).toBe(2n);
  });

  it("that was captured and refunded leaves the same state, in whatever order and however often its events arrive", async () => {
    const heard = fc.shuffledSubarray(
      ["charged", "charged", "refunded", "refunded", "authorized"] as const,
      {
        minLength: 5,
      },
    );
    await fc.assert(
      fc.asyncProperty(heard, fc.boolean(), async (words, atOnce) => {
        const order = await ordered();
        await payment("authorized", order, "a"); // The later events follow from this one.
        if (atOnce) await Promise.all(words.map((word) => payment(word, order, "a")));
        else for (const word of words) await payment(word, order, "a");
        expect(await state(order)).toBe("CANCELLED REFUNDED");
      }),
      { numRuns: cases(25) },
    );
  });

  it("for an unknown order is ignored, and an event without a payment is an error", async () => {
    await handle(ChargeCreatedSchema, paymentMessage(newId(), "a"));
    await expect(handle(ChargeCreatedSchema, {})).rejects.toThrow("without its payment");
  });
});

describe("every event of an order", () => {
  it("carries the whole state after its change, and a version that is one greater", async () => {
    const order = await ordered();
    await payment("authorized", order, "a");
    await payment("charged", order, "a");
    await payment("refunded", order, "a");
    const heard = await recorded(order.id);
    expect(heard.map(({ type }) => type)).toEqual([
      "OrderCreated",
      "OrderAwaitingPayment",
      "OrderCompleted",
      "OrderCancelled",
    ]);
    expect(heard.map((each) => each.order?.version)).toEqual([1n, 2n, 3n, 4n]);
    expect(heard.map((each) => each.order && statusWordsOf(each.order))).toEqual([
      "CREATED",
      "AWAITING_PAYMENT",
      "COMPLETED",
      "CANCELLED REFUNDED",
    ]);
    expect(heard.map((each) => each.order?.attemptId)).toEqual(["", "a", "a", "a"]);
    expect(heard[0]?.order).toEqual(order);
    expect(heard[3]?.order).toEqual(await get(order));
  });
});

describe("an order of another user", () => {
  it("can be neither read nor cancelled", async () => {
    const order = await ordered();
    const eve = await as("eve");
    for (const id of [order.id, newId()]) {
      for (const call of [client.getOrder, client.cancelOrder]) {
        const refused = { code: Code.NotFound, reason: "ORDER_NOT_FOUND", metadata: {} };
        expect(await refusal(call({ id }, eve))).toMatchObject(refused);
      }
    }
    expect(await state(order)).toBe("CREATED");
    expect((await client.listOrders({}, eve)).orders).toEqual([]);
  });
});
