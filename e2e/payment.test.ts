import { CancelReason, OrderStatus } from "@ticketing/proto/orders/v1/order";
import { TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { until } from "#stack/process";
import { fetchStripeRecords } from "./testing/stripe-records.ts";
import {
  buy,
  listTicket,
  fetchOrder,
  pay,
  signUp,
  fetchTicket,
  type Person,
} from "./testing/person.ts";
import { errorOf } from "./testing/rpc-error.ts";
import "./testing/setup.ts"; // For the type of what it provides.

const { url, stripeUrl, holdSeconds } = inject("marketplace");

let seller: Person, buyer: Person, other: Person;
beforeAll(async () => {
  [seller, buyer, other] = (await Promise.all(
    ["seller", "buyer", "other"].map((name) => signUp(url, name)),
  )) as [Person, Person, Person];
});

interface Intent {
  status: string;
  amount: number;
  amount_received: number;
  metadata: Record<string, string>;
}

/** The payment intents of an order that the local Stripe has stored. */
async function intentsOf(orderId: string): Promise<Intent[]> {
  const records = await fetchStripeRecords<{
    payment_intents: Intent[];
  }>(stripeUrl);
  return records.payment_intents.filter(({ metadata }) => metadata["order_id"] === orderId);
}

const settled = (order: { id: string }, status: OrderStatus, timeoutMs = 10_000) =>
  until(async () => (await fetchOrder(buyer, order)).status === status, {
    what: `order status ${status}`,
    timeoutMs,
  });

describe.concurrent("CreatePayment", () => {
  it("rejects another user's order as if it did not exist", async () => {
    const order = await buy(buyer, await listTicket(seller));
    expect(await errorOf(pay(other, order))).toMatchObject({
      code: "NotFound",
      reason: "ORDER_NOT_FOUND",
    });
    expect(await intentsOf(order.id)).toEqual([]);
  });

  it("rejects an amount that differs from the amount due", async () => {
    const order = await buy(buyer, await listTicket(seller));
    for (const amount of [
      { currencyCode: "EUR", units: 25n },
      { currencyCode: "USD", units: 25n, nanos: 500_000_000 },
    ]) {
      const wrong = buyer.payments.createPayment({ orderId: order.id, token: "tok_visa", amount });
      expect(await errorOf(wrong)).toMatchObject({
        code: "InvalidArgument",
        reason: "AMOUNT_MISMATCH",
      });
    }
    expect(await intentsOf(order.id)).toEqual([]);
  });

  it("rejects a cancelled order", async () => {
    const order = await buy(buyer, await listTicket(seller));
    await buyer.orders.cancelOrder({ id: order.id });
    await until(async () => (await errorOf(pay(buyer, order))).reason === "ORDER_CANCELLED", {
      what: "payments to hear of the cancellation",
    });
    // An authorization that preceded the event is voided shortly after the event.
    const isGivenBack = ({ status }: Intent) => status === "canceled";
    await until(async () => (await intentsOf(order.id)).every(isGivenBack), {
      what: "whatever was authorized to be given back",
    });
  });

  it("rejects an expired order", async () => {
    const order = await buy(buyer, await listTicket(seller));
    await settled(order, OrderStatus.CANCELLED, (holdSeconds + 30) * 1000);
    expect(await errorOf(pay(buyer, order))).toMatchObject({
      code: "FailedPrecondition",
      reason: "ORDER_EXPIRED",
    });
    expect(await intentsOf(order.id)).toEqual([]);
  });

  it("rejects an order that is paid", async () => {
    const order = await buy(buyer, await listTicket(seller));
    await pay(buyer, order);
    await settled(order, OrderStatus.COMPLETED);
    await until(async () => (await errorOf(pay(buyer, order))).reason === "ALREADY_PAID", {
      what: "payments to hear of the completion",
    });
    const [intent, ...more] = await intentsOf(order.id);
    expect(intent).toMatchObject({ status: "succeeded", amount: 2550, amount_received: 2550 });
    expect(more).toEqual([]);
  });

  it("lets the buyer retry after a soft decline during the hold", async () => {
    const order = await buy(buyer, await listTicket(seller));
    expect(await errorOf(pay(buyer, order, "tok_chargeDeclinedIncorrectCvc"))).toMatchObject({
      code: "InvalidArgument",
      reason: "PAYMENT_METHOD_REFUSED",
      metadata: { code: "incorrect_cvc" },
    });
    expect(await fetchOrder(buyer, order)).toMatchObject({ status: OrderStatus.CREATED });
    await pay(buyer, order);
    await settled(order, OrderStatus.COMPLETED);
    const taken = (await intentsOf(order.id)).filter(({ amount_received: taken }) => taken > 0);
    expect(taken).toHaveLength(1);
  });

  it("cancels the order and frees the ticket when the card is declined (R61)", async () => {
    const ticket = await listTicket(seller);
    const order = await buy(buyer, ticket);
    expect(await errorOf(pay(buyer, order, "tok_chargeDeclined"))).toMatchObject({
      code: "FailedPrecondition",
      reason: "PAYMENT_DECLINED",
    });
    await settled(order, OrderStatus.CANCELLED);
    expect((await fetchOrder(buyer, order)).cancelReason).toBe(CancelReason.PAYMENT_FAILED);
    await until(async () => (await fetchTicket(buyer, ticket)).status === TicketStatus.ON_SALE, {
      what: "the ticket",
    });
  });

  it("rejects the buyer's cancellation once the money is being captured", async () => {
    const order = await buy(buyer, await listTicket(seller));
    await pay(buyer, order);
    await settled(order, OrderStatus.COMPLETED);
    expect(await errorOf(buyer.orders.cancelOrder({ id: order.id }))).toMatchObject({
      reason: "ORDER_NOT_OPEN",
    });
  });
});
