import { CancelReason, OrderStatus } from "@ticketing/proto/orders/v1/order";
import { PaymentStatus, RefundReason, RefundStatus } from "@ticketing/proto/payments/v1/payment";
import { TicketStatus, type Ticket } from "@ticketing/proto/tickets/v1/ticket";
import type { Order } from "@ticketing/proto/orders/v1/order";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { until } from "#stack/process";
import { fetchStripeRecords } from "./testing/stripe-records.ts";
import { buy, fetchOrder, pay, signUp, fetchTicket, type Person } from "./testing/person.ts";
import { errorOf } from "./testing/rpc-error.ts";
import "./testing/setup.ts"; // For the type of what it provides.

const { url, stripeUrl, mailboxUrl } = inject("marketplace");

let seller: Person, buyer: Person, other: Person;
beforeAll(async () => {
  [seller, buyer, other] = (await Promise.all(
    ["seller", "buyer", "other"].map((name) => signUp(url, name)),
  )) as [Person, Person, Person];
});

/** A ticket with a code that the buyer has paid. */
async function sold(title: string): Promise<{ ticket: Ticket; order: Order }> {
  const price = { currencyCode: "EUR", units: 25n, nanos: 500_000_000 };
  const { ticket } = await seller.tickets.createTicket({ title, price, code: "door 7" });
  const order = await buy(buyer, ticket!);
  await pay(buyer, order);
  await until(async () => (await fetchTicket(url, ticket!)).status === TicketStatus.SOLD, {
    what: "the sale",
  });
  // And payments has taken the money.
  await until(async () => (await paymentOf(order)).status === PaymentStatus.CAPTURED, {
    what: "the charge",
  });
  return { ticket: ticket!, order };
}

async function paymentOf({ id: orderId }: Order) {
  const { payment } = await buyer.payments.getPayment({ orderId });
  return payment!;
}

const refund = (who: Person, { id: orderId }: Order) => who.payments.refundPayment({ orderId });

/** What Stripe's own books have given back of an order. */
async function givenBack({ stripeId }: { stripeId: string }): Promise<number[]> {
  const books = await fetchStripeRecords<{
    refunds: { payment_intent: string; amount: number }[];
  }>(stripeUrl);
  return books.refunds.filter((one) => one.payment_intent === stripeId).map((one) => one.amount);
}

const subjectsTo = async ({ email }: Person): Promise<string[]> => {
  const mails = (await (await fetch(`${mailboxUrl}/mails`)).json()) as {
    to: string[];
    subject: string;
  }[];
  return mails.filter(({ to }) => to.includes(email)).map(({ subject }) => subject);
};

describe.concurrent("money", () => {
  it("goes back to the buyer who has not seen the code, who then cannot", async () => {
    const { ticket, order } = await sold("Given back");
    expect((await refund(buyer, order)).refund).toMatchObject({ reason: RefundReason.BUYER });
    await until(async () => (await fetchOrder(buyer, order)).status === OrderStatus.CANCELLED, {
      what: "the order to end",
    });
    expect((await fetchOrder(buyer, order)).cancelReason).toBe(CancelReason.REFUNDED);
    const payment = await paymentOf(order);
    expect(payment.status).toBe(PaymentStatus.REFUNDED);
    expect(await givenBack(payment)).toEqual([2550]);
    await until(async () => (await fetchTicket(url, ticket)).status === TicketStatus.WITHDRAWN, {
      what: "the ticket to be its seller's again",
    });
    expect((await errorOf(buyer.tickets.openTicketCode({ id: ticket.id }))).code).toBe("NotFound");
    await until(async () => (await subjectsTo(buyer)).includes("Refund: Given back"), {
      what: "the letter to the buyer",
    });
    await until(
      async () => (await subjectsTo(seller)).includes("Refunded to the buyer: Given back"),
      {
        what: "the letter to the seller",
      },
    );
    expect(await subjectsTo(buyer)).toContain("Your ticket: Given back");
    expect(await subjectsTo(seller)).toContain("Sold: Given back");
  });

  it("does not go back to the buyer who has seen the code", async () => {
    const { ticket, order } = await sold("Seen");
    await buyer.tickets.openTicketCode({ id: ticket.id });
    // Payments may not have heard of it: then tickets says so.
    const refused = await refund(buyer, order).then(
      () => undefined,
      async () => (await errorOf(refund(buyer, order))).reason,
    );
    if (refused) expect(refused).toBe("CODE_OPENED");
    else {
      const isRefused = async () =>
        (await paymentOf(order)).refunds.at(-1)?.status === RefundStatus.REFUSED;
      await until(isRefused, { what: "the refusal" });
    }
    const payment = await paymentOf(order);
    expect(payment.status).toBe(PaymentStatus.CAPTURED);
    expect(payment.codeOpenTime).toBeDefined();
    expect(await givenBack(payment)).toEqual([]);
    expect((await fetchOrder(buyer, order)).status).toBe(OrderStatus.COMPLETED);
  });

  it("goes back once, whoever asks for it at the same time", async () => {
    const { order } = await sold("Both");
    await Promise.allSettled([refund(seller, order), refund(buyer, order), refund(seller, order)]);
    await until(async () => (await fetchOrder(buyer, order)).status === OrderStatus.CANCELLED, {
      what: "the order to end",
    });
    expect(await givenBack(await paymentOf(order))).toEqual([2550]);
  });

  it("is nobody else's business, and the seller's only as far as it is theirs", async () => {
    const { order } = await sold("Theirs");
    const notFound = { code: "NotFound", reason: "PAYMENT_NOT_FOUND" };
    expect(await errorOf(refund(other, order))).toMatchObject(notFound);
    expect(await errorOf(other.payments.getPayment({ orderId: order.id }))).toMatchObject(notFound);
    const { payment } = await seller.payments.getPayment({ orderId: order.id });
    expect(payment).toMatchObject({ status: PaymentStatus.CAPTURED, title: "Theirs" });
    expect(payment).toMatchObject({ userId: "", attempts: [], refunds: [], stripeId: "" });
  });
});
