import { timestampDate } from "@bufbuild/protobuf/wkt";
import { ExpirationCompleteSchema } from "@ticketing/proto/expiration/v1/expiration_events";
import type { Order } from "@ticketing/proto/orders/v1/order";
import { PaymentStatus } from "@ticketing/proto/payments/v1/payment";
import {
  ChargeCreatedSchema,
  ChargeRefundedSchema,
  PaymentActionRequiredSchema,
  PaymentAuthorizedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { describe, expect, it } from "vitest";
import { recordedLog } from "#runtime/testing/log.ts";
import { expireOverdue } from "./events.ts";
import { stuckOrders } from "./stuck-orders.ts";
import { paymentMessage, testOrders, statusWordsOf } from "./testing.ts";

type Fixture = Awaited<ReturnType<typeof testOrders>>;

const endOf = ({ expiresAt }: Order): number =>
  expiresAt ? timestampDate(expiresAt).getTime() : 0;
const ordered = async ({ buy, ticket }: Fixture): Promise<Order> => buy(await ticket());
const history = async ({ recorded }: Fixture, { id }: Order): Promise<string[]> =>
  (await recorded(id)).map(({ type }) => type);

describe("a hold whose buyer is at their bank's page", () => {
  const asked = ({ handle }: Fixture, { id }: Order, attempt = "a") =>
    handle(PaymentActionRequiredSchema, paymentMessage(id, attempt, PaymentStatus.REQUIRES_ACTION));

  it("is extended once, however many attempts there are, and then expires", async () => {
    const fixture = await testOrders({ extensionSeconds: 300 });
    const order = await ordered(fixture);
    await asked(fixture, order);
    await asked(fixture, order);
    await asked(fixture, order, "b");
    const longer = await fixture.get(order);
    expect(endOf(longer) - endOf(order)).toBe(300_000);
    const events = await fixture.recorded(order.id);
    expect(events.map(({ type }) => type)).toEqual(["OrderCreated", "OrderExtended"]);
    expect(events[1]?.order).toEqual(longer);

    fixture.pass(901); // The timer event of the first expiry arrives, too early now.
    await fixture.handle(ExpirationCompleteSchema, { orderId: order.id });
    await expireOverdue(fixture.deps);
    expect(statusWordsOf(await fixture.get(order))).toBe("CREATED");
    fixture.pass(300);
    await expireOverdue(fixture.deps);
    expect(statusWordsOf(await fixture.get(order))).toBe("CANCELLED EXPIRED");
  });

  it("is not extended unless that is configured", async () => {
    const fixture = await testOrders();
    const order = await ordered(fixture);
    await asked(fixture, order);
    expect(await fixture.get(order)).toEqual(order);
  });

  it("is not extended once it has run out or is paid", async () => {
    const fixture = await testOrders({ extensionSeconds: 300 });
    const paid = await ordered(fixture);
    await fixture.handle(PaymentAuthorizedSchema, paymentMessage(paid.id, "a"));
    await asked(fixture, paid);
    expect(await history(fixture, paid)).toEqual(["OrderCreated", "OrderAwaitingPayment"]);
    const late = await ordered(fixture);
    fixture.pass(901);
    await asked(fixture, late);
    expect(await history(fixture, late)).toEqual(["OrderCreated"]);
  });
});

describe("a refund", () => {
  it("of a part leaves the ticket with its buyer; of the whole amount cancels the order", async () => {
    const fixture = await testOrders();
    const order = await ordered(fixture);
    await fixture.handle(PaymentAuthorizedSchema, paymentMessage(order.id, "a"));
    await fixture.handle(ChargeCreatedSchema, paymentMessage(order.id, "a"));
    const part = paymentMessage(order.id, "a", PaymentStatus.PARTLY_REFUNDED);
    await fixture.handle(ChargeRefundedSchema, part);
    expect(statusWordsOf(await fixture.get(order))).toBe("COMPLETED");
    await fixture.handle(ChargeRefundedSchema, paymentMessage(order.id, "a"));
    expect(statusWordsOf(await fixture.get(order))).toBe("CANCELLED REFUNDED");
  });
});

describe("an order that has been awaiting its capture for more than five minutes", () => {
  it("raises an alarm, at most once an hour", async () => {
    const { log, lines } = recordedLog();
    const fixture = await testOrders({ log });
    const order = await ordered(fixture);
    await fixture.handle(PaymentAuthorizedSchema, paymentMessage(order.id, "a"));
    const look = stuckOrders(fixture.deps);
    const alarms = () => lines.filter((line) => line["alarm"] === true);
    fixture.pass(290);
    await look();
    expect(alarms()).toEqual([]);
    fixture.pass(15);
    await look();
    await look();
    expect(alarms()).toEqual([expect.objectContaining({ orderId: order.id, attemptId: "a" })]);
    fixture.pass(3_600);
    await look();
    expect(alarms()).toHaveLength(2);
  });
});
