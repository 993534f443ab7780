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
import { paymentMessage, testOrders, statusWordsOf } from "./testing.ts";

/** An order for a ticket whose event begins in this many seconds. */
async function ordered(seconds: number, extensionSeconds = 0) {
  const orders = await testOrders({ extensionSeconds });
  const begins = new Date(orders.deps.now() + seconds * 1000);
  const order = await orders.buy(await orders.ticket({ eventTime: timestampFromDate(begins) }));
  const atTheBank = paymentMessage(order.id, "a", PaymentStatus.REQUIRES_ACTION);
  return {
    ...orders,
    order,
    begins,
    events: async () => (await orders.recorded(order.id)).map(({ type }) => type),
    askBank: () => orders.handle(PaymentActionRequiredSchema, atTheBank),
    authorize: () => orders.handle(PaymentAuthorizedSchema, paymentMessage(order.id, "a")),
  };
}

const endOf = ({ expiresAt }: Order): Date | undefined => expiresAt && timestampDate(expiresAt);

describe("a hold", () => {
  it.each([1, 60, 899])("ends when the event begins, in %i seconds (R16)", async (seconds) => {
    const { order, begins, pass, deps, get } = await ordered(seconds);
    expect(endOf(order)).toEqual(begins);
    pass(seconds + 1);
    await expireOverdue(deps);
    expect(statusWordsOf(await get(order))).toBe("CANCELLED EXPIRED");
  });

  it("for an event that begins later has the usual length", async () => {
    const { order, deps } = await ordered(1_000);
    const left = (endOf(order)?.getTime() ?? 0) - deps.now();
    expect(left).toBeGreaterThan(890_000);
    expect(left).toBeLessThanOrEqual(900_000);
  });

  it("is not extended beyond the start of the event", async () => {
    const { order, begins, askBank, get, recorded } = await ordered(1_000, 300);
    await askBank();
    expect(endOf(await get(order))).toEqual(begins);
    const [, extended] = await recorded(order.id);
    expect(extended?.type).toBe("OrderExtended");
    expect(endOf(extended?.order as Order)).toEqual(begins);
  });

  it("that ends when its event begins is not extended", async () => {
    const { order, askBank, get, events } = await ordered(600, 300);
    await askBank();
    expect(await get(order)).toEqual(order);
    expect(await events()).toEqual(["OrderCreated"]);
  });
});

describe("an authorized payment", () => {
  it("that arrives before the event begins is accepted, and captured afterwards", async () => {
    const { order, authorize, handle, pass, get } = await ordered(60);
    await authorize();
    pass(61);
    await handle(ChargeCreatedSchema, paymentMessage(order.id, "a"));
    expect(statusWordsOf(await get(order))).toBe("COMPLETED");
  });

  it("that arrives after the event has begun is not accepted: the order has expired", async () => {
    const { order, authorize, pass, get, events } = await ordered(60);
    pass(61);
    await authorize();
    expect(statusWordsOf(await get(order))).toBe("CANCELLED EXPIRED");
    expect(await events()).toEqual(["OrderCreated", "OrderExpired"]);
  });

  it("is not accepted either for a hold stored before holds ended with their events", async () => {
    const { order, authorize, pass, get, deps } = await ordered(60);
    const longer = { expiresAt: new Date(deps.now() + 900_000) };
    await deps.orders.updateOne({ _id: order.id }, { $set: longer });
    pass(61);
    await authorize();
    expect(statusWordsOf(await get(order))).toBe("CANCELLED EXPIRED");
  });
});
