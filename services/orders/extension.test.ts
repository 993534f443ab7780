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
import { stuckOrders } from "./stuck.ts";
import { paymentMessage, testOrders, wordsOf } from "./testing.ts";

type World = Awaited<ReturnType<typeof testOrders>>;

const endOf = ({ expiresAt }: Order): number =>
  expiresAt ? timestampDate(expiresAt).getTime() : 0;
const ordered = async ({ buy, ticket }: World): Promise<Order> => buy(await ticket());
const history = async ({ told }: World, { id }: Order): Promise<string[]> =>
  (await told(id)).map(({ type }) => type);

describe("a hold whose buyer is at their bank's page", () => {
  const asked = ({ hear }: World, { id }: Order, attempt = "a") =>
    hear(PaymentActionRequiredSchema, paymentMessage(id, attempt, PaymentStatus.REQUIRES_ACTION));

  it("is made longer, once, whatever the number of attempts, and ends then", async () => {
    const world = await testOrders({ extensionSeconds: 300 });
    const order = await ordered(world);
    await asked(world, order);
    await asked(world, order);
    await asked(world, order, "b");
    const longer = await world.get(order);
    expect(endOf(longer) - endOf(order)).toBe(300_000);
    const events = await world.told(order.id);
    expect(events.map(({ type }) => type)).toEqual(["OrderCreated", "OrderExtended"]);
    expect(events[1]?.order).toEqual(longer);

    world.pass(901); // The timer of the first end comes out, and is too early now.
    await world.hear(ExpirationCompleteSchema, { orderId: order.id });
    await expireOverdue(world.deps);
    expect(wordsOf(await world.get(order))).toBe("CREATED");
    world.pass(300);
    await expireOverdue(world.deps);
    expect(wordsOf(await world.get(order))).toBe("CANCELLED EXPIRED");
  });

  it("is not made longer unless that is configured", async () => {
    const world = await testOrders();
    const order = await ordered(world);
    await asked(world, order);
    expect(await world.get(order)).toEqual(order);
  });

  it("is not made longer once its time is up, or it is paid", async () => {
    const world = await testOrders({ extensionSeconds: 300 });
    const paid = await ordered(world);
    await world.hear(PaymentAuthorizedSchema, paymentMessage(paid.id, "a"));
    await asked(world, paid);
    expect(await history(world, paid)).toEqual(["OrderCreated", "OrderAwaitingPayment"]);
    const late = await ordered(world);
    world.pass(901);
    await asked(world, late);
    expect(await history(world, late)).toEqual(["OrderCreated"]);
  });
});

describe("a refund", () => {
  it("of a part leaves the ticket with its buyer; of all of it ends the order", async () => {
    const world = await testOrders();
    const order = await ordered(world);
    await world.hear(PaymentAuthorizedSchema, paymentMessage(order.id, "a"));
    await world.hear(ChargeCreatedSchema, paymentMessage(order.id, "a"));
    const part = paymentMessage(order.id, "a", PaymentStatus.PARTLY_REFUNDED);
    await world.hear(ChargeRefundedSchema, part);
    expect(wordsOf(await world.get(order))).toBe("COMPLETED");
    await world.hear(ChargeRefundedSchema, paymentMessage(order.id, "a"));
    expect(wordsOf(await world.get(order))).toBe("CANCELLED REFUNDED");
  });
});

describe("an order that awaits its money for more than five minutes", () => {
  it("raises an alarm, and not more than one an hour", async () => {
    const { log, lines } = recordedLog();
    const world = await testOrders({ log });
    const order = await ordered(world);
    await world.hear(PaymentAuthorizedSchema, paymentMessage(order.id, "a"));
    const look = stuckOrders(world.deps);
    const alarms = () => lines.filter((line) => line["alarm"] === true);
    world.pass(290);
    await look();
    expect(alarms()).toEqual([]);
    world.pass(15);
    await look();
    await look();
    expect(alarms()).toEqual([expect.objectContaining({ orderId: order.id, attemptId: "a" })]);
    world.pass(3_600);
    await look();
    expect(alarms()).toHaveLength(2);
  });
});
