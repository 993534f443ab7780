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

/** A sold ticket with a code. */
async function sold(title: string): Promise<{ ticket: Ticket; order: Order }> {
  const price = { currencyCode: "EUR", units: 25n, nanos: 500_000_000 };
  const { ticket } = await seller.tickets.createTicket({ title, price, code: "door 7" });
  const order = await buy(buyer, ticket!);
  await pay(buyer, order);
  await until(async () => (await fetchTicket(seller, ticket!)).status === TicketStatus.SOLD, {
    what: "the sale",
  });
  // The money is captured after the sale.
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

/** The amounts that the local Stripe has refunded for a payment. */
async function refundedAmounts({ stripeId }: { stripeId: string }): Promise<number[]> {
  const records = await fetchStripeRecords<{
    refunds: { payment_intent: string; amount: number }[];
  }>(stripeUrl);
  return records.refunds.filter((one) => one.payment_intent === stripeId).map((one) => one.amount);
}

const subjectsTo = async ({ email }: Person): Promise<string[]> => {
  const mails = (await (await fetch(`${mailboxUrl}/mails`)).json()) as {
    to: string[];
    subject: string;
  }[];
  return mails.filter(({ to }) => to.includes(email)).map(({ subject }) => subject);
};

describe.concurrent("a refund", () => {
  it("is possible for a buyer who has not revealed the code, which is then locked", async () => {
    const { ticket, order } = await sold("Given back");
    expect((await refund(buyer, order)).refund).toMatchObject({ reason: RefundReason.BUYER });
    await until(async () => (await fetchOrder(buyer, order)).status === OrderStatus.CANCELLED, {
      what: "the order to end",
    });
    expect((await fetchOrder(buyer, order)).cancelReason).toBe(CancelReason.REFUNDED);
    const payment = await paymentOf(order);
    expect(payment.status).toBe(PaymentStatus.REFUNDED);
    expect(await refundedAmounts(payment)).toEqual([2550]);
    await until(async () => (await fetchTicket(seller, ticket)).status === TicketStatus.WITHDRAWN, {
      what: "the ticket to be its seller's again",
    });
    expect((await errorOf(buyer.tickets.openTicketCode({ id: ticket.id }))).code).toBe("NotFound");
    await until(async () => (await subjectsTo(buyer)).includes("Refund: Given back"), {
      what: "the email to the buyer",
    });
    await until(
      async () => (await subjectsTo(seller)).includes("Refunded to the buyer: Given back"),
      {
        what: "the email to the seller",
      },
    );
    expect(await subjectsTo(buyer)).toContain("Your ticket: Given back");
    expect(await subjectsTo(seller)).toContain("Sold: Given back");
  });

  it("is not possible for a buyer who has revealed the code", async () => {
    const { ticket, order } = await sold("Seen");
    await buyer.tickets.openTicketCode({ id: ticket.id });
    // If payments has not received the event yet, tickets rejects the refund.
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
    expect(await refundedAmounts(payment)).toEqual([]);
    expect((await fetchOrder(buyer, order)).status).toBe(OrderStatus.COMPLETED);
  });

  it("is paid once, even if buyer and seller request it at the same time", async () => {
    const { order } = await sold("Both");
    await Promise.allSettled([refund(seller, order), refund(buyer, order), refund(seller, order)]);
    await until(async () => (await fetchOrder(buyer, order)).status === OrderStatus.CANCELLED, {
      what: "the order to end",
    });
    expect(await refundedAmounts(await paymentOf(order))).toEqual([2550]);
  });

  it("is hidden from other users, and the seller sees only the sale", async () => {
    const { order } = await sold("Theirs");
    const notFound = { code: "NotFound", reason: "PAYMENT_NOT_FOUND" };
    expect(await errorOf(refund(other, order))).toMatchObject(notFound);
    expect(await errorOf(other.payments.getPayment({ orderId: order.id }))).toMatchObject(notFound);
    const { payment } = await seller.payments.getPayment({ orderId: order.id });
    expect(payment).toMatchObject({ status: PaymentStatus.CAPTURED, title: "Theirs" });
    expect(payment).toMatchObject({ userId: "", attempts: [], refunds: [], stripeId: "" });
  });
});
