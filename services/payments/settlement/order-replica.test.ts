import { CancelReason, OrderStatus, type Order } from "@ticketing/proto/orders/v1/order";
import { OrderAwaitingPaymentSchema } from "@ticketing/proto/orders/v1/order_events";
import { expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { orderCopies } from "../events.ts";
import { newest } from "../payment.ts";
import { settle } from "./settlement.ts";
import { hastyStripe } from "../testing/stripe-fixture.ts";
import { world, type World } from "../testing/payments-fixture.ts";

// Payments with an older database than orders has, or an empty one: a snapshot tells it of orders.

const { AWAITING_PAYMENT, CANCELLED, COMPLETED } = OrderStatus;

/** Hears of an order from a snapshot, and does all that it would ever do because of that. */
async function hear({ deps, settler }: World, order: Order): Promise<void> {
  await orderCopies(deps).applyIfNewer(order);
  await settle(deps, order.id, true);
  await settler.reconcile();
  await settle(deps, order.id, true);
}

const alarms = ({ lines }: World): unknown[] =>
  lines.filter(({ alarm }) => alarm).map(({ orderId, msg }) => [orderId, msg]);

const inDoubt = ({ id }: Order) => [
  id,
  "an order knows of money that payments does not; look at Stripe",
];

/** The order has accepted the newest attempt, and payments has not heard so. */
async function acceptUnheard(all: World, order: Order, status: OrderStatus): Promise<void> {
  const attemptId = newest(await all.load(order.id))?._id ?? "";
  all.change(order, { status, attemptId });
}

it.each([
  ["awaits payment", AWAITING_PAYMENT],
  ["is completed", COMPLETED],
])("no money is taken because a snapshot says that an order %s", async (_, status) => {
  const all = await world();
  const order = await all.buy();
  await all.pay(order);
  await acceptUnheard(all, order, status);
  await hear(all, order);
  expect(await all.statuses(order)).toEqual(["AUTHORIZED"]);
  expect((await all.books(order)).taken).toEqual([]);
  expect(alarms(all)).toEqual([inDoubt(order)]);

  order.status = AWAITING_PAYMENT;
  await all.tell(OrderAwaitingPaymentSchema, order);
  expect(await all.settled(order)).toBe("COMPLETED");
});

it("nor is it later, when the bank has let through what a snapshot called accepted", async () => {
  const all = await world();
  const order = await all.buy();
  await all.pay(order, "tok_threeDSecure2Required");
  await acceptUnheard(all, order, AWAITING_PAYMENT);
  await hear(all, order);
  await all.answerBank(order, "complete");
  await settle(all.deps, order.id, true);
  await all.settler.reconcile();
  await settle(all.deps, order.id, true);
  expect(await all.statuses(order)).toEqual(["AUTHORIZED"]);
  expect((await all.books(order)).taken).toEqual([]);
});

it("an order that awaits money of which nothing is known raises an alarm, and cannot be paid", async () => {
  const all = await world();
  const order = all.anOrder({ status: AWAITING_PAYMENT, version: 2n, attemptId: newId() });
  await hear(all, order);
  expect(alarms(all)).toEqual([inDoubt(order)]);
  expect(await refusal(all.pay(order))).toMatchObject({ reason: "PAYMENT_IN_PROGRESS" });
  expect((await all.books(order)).intents).toEqual([]);
});

it("what is known already raises none, and an older snapshot changes nothing", async () => {
  const all = await world();
  const order = await all.buy();
  const before = { ...order };
  await all.pay(order);
  await all.accept(order);
  const heard = { ...order };
  await all.reaches(order, "CAPTURED");
  for (const state of [heard, before, heard]) await hear(all, state);
  expect((await all.load(order.id)).order).toMatchObject({
    status: "AWAITING_PAYMENT",
    version: 2,
  });
  expect(alarms(all)).toEqual([]);
  expect((await all.books(order)).taken).toHaveLength(1);
});

it("what is authorized for an order that a snapshot calls cancelled is given up", async () => {
  const all = await world();
  const order = await all.buy();
  await all.pay(order);
  all.change(order, { status: CANCELLED, cancelReason: CancelReason.EXPIRED });
  await hear(all, order);
  await all.reaches(order, "VOIDED");
  expect((await all.books(order)).taken).toEqual([]);
});

it("what a person has taken at Stripe after the alarm is known at the next look", async () => {
  const all = await world();
  const order = await all.buy();
  const { payment } = await all.pay(order);
  await acceptUnheard(all, order, COMPLETED);
  await hear(all, order);
  await hastyStripe(all.bank.base).paymentIntents.capture(payment!.stripeId);
  all.clock.ahead += 61_000;
  await all.settler.reconcile();
  await all.reaches(order, "CAPTURED");
  expect(await all.names(order)).toEqual(["PaymentAuthorized", "ChargeCreated"]);
});
