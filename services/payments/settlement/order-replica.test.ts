import { CancelReason, OrderStatus, type Order } from "@ticketing/proto/orders/v1/order";
import { OrderAwaitingPaymentSchema } from "@ticketing/proto/orders/v1/order_events";
import { expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { orderReplica } from "../events.ts";
import { newestAttempt } from "../payment.ts";
import { settlePayment } from "./settlement.ts";
import { fastRetryStripe } from "../testing/stripe-fixture.ts";
import { paymentsFixture, type PaymentsFixture } from "../testing/payments-fixture.ts";

// The database of payments is older than that of orders, or empty, and snapshots restore the orders.

const { AWAITING_PAYMENT, CANCELLED, COMPLETED } = OrderStatus;

/** Applies an order from a snapshot, and runs everything that follows from it. */
async function hear({ deps, settler }: PaymentsFixture, order: Order): Promise<void> {
  await orderReplica(deps).applyIfNewer(order);
  await settlePayment(deps, order.id, true);
  await settler.reconcile();
  await settlePayment(deps, order.id, true);
}

const alarms = ({ lines }: PaymentsFixture): unknown[] =>
  lines.filter(({ alarm }) => alarm).map(({ orderId, msg }) => [orderId, msg]);

const inDoubt = ({ id }: Order) => [
  id,
  "an order refers to a payment attempt that is unknown here; check it in the Stripe Dashboard",
];

/** The order has accepted the newest attempt, and payments has not received the event. */
async function acceptUnheard(
  fixture: PaymentsFixture,
  order: Order,
  status: OrderStatus,
): Promise<void> {
  const attemptId = newestAttempt(await fixture.load(order.id))?._id ?? "";
  fixture.change(order, { status, attemptId });
}

it.each([
  ["awaits payment", AWAITING_PAYMENT],
  ["is completed", COMPLETED],
])("a snapshot leads to no capture if the order %s", async (_, status) => {
  const fixture = await paymentsFixture();
  const order = await fixture.buy();
  await fixture.pay(order);
  await acceptUnheard(fixture, order, status);
  await hear(fixture, order);
  expect(await fixture.statuses(order)).toEqual(["AUTHORIZED"]);
  expect((await fixture.stripeState(order)).taken).toEqual([]);
  expect(alarms(fixture)).toEqual([inDoubt(order)]);

  order.status = AWAITING_PAYMENT;
  await fixture.deliver(OrderAwaitingPaymentSchema, order);
  expect(await fixture.settled(order)).toBe("COMPLETED");
});

it("a snapshot leads to no capture later, when the bank authorizes the accepted attempt", async () => {
  const fixture = await paymentsFixture();
  const order = await fixture.buy();
  await fixture.pay(order, "tok_threeDSecure2Required");
  await acceptUnheard(fixture, order, AWAITING_PAYMENT);
  await hear(fixture, order);
  await fixture.answerBank(order, "complete");
  await settlePayment(fixture.deps, order.id, true);
  await fixture.settler.reconcile();
  await settlePayment(fixture.deps, order.id, true);
  expect(await fixture.statuses(order)).toEqual(["AUTHORIZED"]);
  expect((await fixture.stripeState(order)).taken).toEqual([]);
});

it("an order that awaits payment by an unknown attempt raises an alarm, and cannot be paid", async () => {
  const fixture = await paymentsFixture();
  const order = fixture.anOrder({ status: AWAITING_PAYMENT, version: 2n, attemptId: newId() });
  await hear(fixture, order);
  expect(alarms(fixture)).toEqual([inDoubt(order)]);
  expect(await refusal(fixture.pay(order))).toMatchObject({ reason: "PAYMENT_IN_PROGRESS" });
  expect((await fixture.stripeState(order)).intents).toEqual([]);
});

it("a known attempt raises no alarm, and an older snapshot changes nothing", async () => {
  const fixture = await paymentsFixture();
  const order = await fixture.buy();
  const before = { ...order };
  await fixture.pay(order);
  await fixture.accept(order);
  const recordedEvents = { ...order };
  await fixture.attemptReaches(order, "CAPTURED");
  for (const state of [recordedEvents, before, recordedEvents]) await hear(fixture, state);
  expect((await fixture.load(order.id)).order).toMatchObject({
    status: "AWAITING_PAYMENT",
    version: 2,
  });
  expect(alarms(fixture)).toEqual([]);
  expect((await fixture.stripeState(order)).taken).toHaveLength(1);
});

it("the authorization of an order that a snapshot shows as canceled is voided", async () => {
  const fixture = await paymentsFixture();
  const order = await fixture.buy();
  await fixture.pay(order);
  fixture.change(order, { status: CANCELLED, cancelReason: CancelReason.EXPIRED });
  await hear(fixture, order);
  await fixture.attemptReaches(order, "VOIDED");
  expect((await fixture.stripeState(order)).taken).toEqual([]);
});

it("a capture that an operator makes at Stripe after the alarm is detected by the next poll", async () => {
  const fixture = await paymentsFixture();
  const order = await fixture.buy();
  const { payment } = await fixture.pay(order);
  await acceptUnheard(fixture, order, COMPLETED);
  await hear(fixture, order);
  await fastRetryStripe(fixture.stripeServer.base).paymentIntents.capture(payment!.stripeId);
  fixture.clock.ahead += 61_000;
  await fixture.settler.reconcile();
  await fixture.attemptReaches(order, "CAPTURED");
  expect(await fixture.eventNames(order)).toEqual(["PaymentAuthorized", "ChargeCreated"]);
});
