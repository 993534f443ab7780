import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Order } from "@ticketing/proto/orders/v1/order";
import { PaymentStatus } from "@ticketing/proto/payments/v1/payment";
import {
  ChargeCreatedSchema,
  PaymentActionRequiredSchema,
  PaymentAuthorizedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { describe, expect, it } from "vitest";
import { expireOverdue } from "./events.ts";
import { paymentMessage, testOrders, wordsOf } from "./testing.ts";

/** An order of a ticket whose event begins so many seconds from now. */
async function ordered(seconds: number, extensionSeconds = 0) {
  const orders = await testOrders({ extensionSeconds });
  const begins = new Date(orders.deps.now() + seconds * 1000);
  const order = await orders.buy(await orders.ticket({ eventTime: timestampFromDate(begins) }));
  const atTheBank = paymentMessage(order.id, "a", PaymentStatus.REQUIRES_ACTION);
  return {
    ...orders,
    order,
    begins,
    events: async () => (await orders.told(order.id)).map(({ type }) => type),
    askBank: () => orders.hear(PaymentActionRequiredSchema, atTheBank),
    authorize: () => orders.hear(PaymentAuthorizedSchema, paymentMessage(order.id, "a")),
  };
}

const endOf = ({ expiresAt }: Order): Date | undefined => expiresAt && timestampDate(expiresAt);

describe("a hold", () => {
  it.each([1, 60, 899])("ends with the event that begins in %i seconds (R16)", async (seconds) => {
    const { order, begins, pass, deps, get } = await ordered(seconds);
    expect(endOf(order)).toEqual(begins);
    pass(seconds + 1);
    await expireOverdue(deps);
    expect(wordsOf(await get(order))).toBe("CANCELLED EXPIRED");
  });

  it("of an event that begins later lasts as long as any other", async () => {
    const { order, deps } = await ordered(1_000);
    const left = (endOf(order)?.getTime() ?? 0) - deps.now();
    expect(left).toBeGreaterThan(890_000);
    expect(left).toBeLessThanOrEqual(900_000);
  });

  it("is not made longer than until the event begins", async () => {
    const { order, begins, askBank, get, told } = await ordered(1_000, 300);
    await askBank();
    expect(endOf(await get(order))).toEqual(begins);
    const [, extended] = await told(order.id);
    expect(extended?.type).toBe("OrderExtended");
    expect(endOf(extended?.order as Order)).toEqual(begins);
  });

  it("that ends with its event already is not made longer at all", async () => {
    const { order, askBank, get, events } = await ordered(600, 300);
    await askBank();
    expect(await get(order)).toEqual(order);
    expect(await events()).toEqual(["OrderCreated"]);
  });
});

describe("an authorized payment", () => {
  it("of which orders hears before the event begins is accepted, and taken afterwards", async () => {
    const { order, authorize, hear, pass, get } = await ordered(60);
    await authorize();
    pass(61);
    await hear(ChargeCreatedSchema, paymentMessage(order.id, "a"));
    expect(wordsOf(await get(order))).toBe("COMPLETED");
  });

  it("of which orders hears after the event has begun buys nothing: the order has expired", async () => {
    const { order, authorize, pass, get, events } = await ordered(60);
    pass(61);
    await authorize();
    expect(wordsOf(await get(order))).toBe("CANCELLED EXPIRED");
    expect(await events()).toEqual(["OrderCreated", "OrderExpired"]);
  });

  it("buys nothing either by a hold from before holds ended with their events", async () => {
    const { order, authorize, pass, get, deps } = await ordered(60);
    const longer = { expiresAt: new Date(deps.now() + 900_000) };
    await deps.orders.updateOne({ _id: order.id }, { $set: longer });
    pass(61);
    await authorize();
    expect(wordsOf(await get(order))).toBe("CANCELLED EXPIRED");
  });
});
