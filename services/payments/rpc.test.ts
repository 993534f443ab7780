import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { CancelReason, type Order } from "@ticketing/proto/orders/v1/order";
import { OrderExtendedSchema } from "@ticketing/proto/orders/v1/order_events";
import { PaymentStatus } from "@ticketing/proto/payments/v1/payment";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { PUBLIC_URL, paymentsFixture, type PaymentsFixture } from "./testing/payments-fixture.ts";

const ASKED = "tok_threeDSecure2Required";

const get = async ({ client }: PaymentsFixture, { id, userId }: Order) =>
  client.getPayment({ orderId: id }, await as(userId));

/** Counts the requests to Stripe for an intent from now on. */
async function countAsking({
  fault,
  stripeServer,
}: PaymentsFixture): Promise<() => Promise<number>> {
  await fault({ method: "GET", path: "/v1/payment_intents", times: 1000, slow: 1 });
  return async () => {
    const ordered = (await stripeServer.control("GET", "faults")) as { met: number }[];
    return ordered.at(-1)?.met ?? 0;
  };
}

describe("GetPayment", () => {
  it("shows the buyer the status of the payment", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { payment } = await fixture.pay(order);
    expect((await get(fixture, order)).payment).toEqual(payment);
    await fixture.settled(order);
    expect((await get(fixture, order)).payment).toMatchObject({
      attemptId: payment?.attemptId,
      status: PaymentStatus.CAPTURED,
      createTime: payment?.createTime,
    });
  });

  it("shows why the last attempt failed", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await refusal(fixture.pay(order, "tok_chargeDeclinedIncorrectCvc"));
    expect((await get(fixture, order)).payment).toMatchObject({
      status: PaymentStatus.FAILED,
      failureCode: "incorrect_cvc",
    });
  });

  it("finds no payment for an order without an attempt, or for another user's order", async () => {
    const fixture = await paymentsFixture();
    const [unpaid, paid] = [await fixture.buy(), await fixture.buy()];
    await fixture.pay(paid);
    const found = await Promise.all([
      refusal(get(fixture, unpaid)),
      refusal(get(fixture, { ...paid, userId: "eve" })),
      refusal(get(fixture, { ...unpaid, id: newId() })),
    ]);
    for (const each of found) {
      expect(each).toMatchObject({ code: Code.NotFound, reason: "PAYMENT_NOT_FOUND" });
      expect(each).toEqual(found[0]);
    }
    const strange = await refusal(fixture.client.getPayment({ orderId: paid.id }));
    expect(strange.code).toBe(Code.Unauthenticated);
  });

  it("polls Stripe at most every two seconds, however often it is called", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order, ASKED);
    const asked = await countAsking(fixture);
    // The clock stands still, because ten calls on a busy machine can take two seconds.
    vi.useFakeTimers({ toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    for (let i = 0; i < 10; i += 1) await get(fixture, order);
    expect(await asked()).toBe(1);
    fixture.clock.ahead += 2_000;
    for (let i = 0; i < 10; i += 1) await get(fixture, order);
    expect(await asked()).toBe(2);
  });

  it("does not poll Stripe for a payment in its final state", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order);
    await fixture.settled(order);
    const asked = await countAsking(fixture);
    await get(fixture, order);
    expect(await asked()).toBe(0);
  });

  it("returns the stored state while Stripe is down, and logs one line", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { clientSecret } = await fixture.pay(order, ASKED);
    await fixture.fault({ fail: 500, times: 1000 });
    expect(await get(fixture, order)).toMatchObject({
      payment: { status: PaymentStatus.REQUIRES_ACTION },
      clientSecret,
    });
    expect(fixture.lines.filter(({ msg }) => msg === "Stripe could not be polled")).toHaveLength(1);
  });
});

describe("3-D Secure", () => {
  it("returns what the bank's page needs on every call", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const requestId = crypto.randomUUID();
    const { payment, clientSecret } = await fixture.pay(order, ASKED, { requestId });
    expect(payment?.status).toBe(PaymentStatus.REQUIRES_ACTION);
    const [intent] = (await fixture.stripeState(order)).intents;
    expect(clientSecret).toBe(intent?.client_secret);
    expect((await fixture.pay(order, ASKED, { requestId })).clientSecret).toBe(clientSecret);
    expect((await get(fixture, order)).clientSecret).toBe(clientSecret);
    expect(await fixture.eventNames(order)).toEqual(["PaymentActionRequired"]);
  });

  it("returns the address of the bank's page, which redirects to the order's page", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { actionUrl } = await fixture.pay(order, ASKED);
    expect((await get(fixture, order)).actionUrl).toBe(actionUrl);
    const answered = await fetch(actionUrl, {
      method: "POST",
      body: "answer=complete",
      redirect: "manual",
    });
    expect(answered.headers.get("location")).toContain(`${PUBLIC_URL}/orders/${order.id}?`);
    fixture.clock.ahead += 2_000;
    expect(await get(fixture, order)).toMatchObject({
      payment: { status: PaymentStatus.AUTHORIZED },
      actionUrl: "",
    });
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it("does not store those secrets", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { clientSecret, actionUrl } = await fixture.pay(order, ASKED);
    const stored = JSON.stringify(await fixture.load(order.id));
    expect(stored).not.toContain(clientSecret);
    expect(stored).not.toContain(actionUrl);
  });

  it("can take longer if orders extends the hold", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy({ expiresAt: timestampFromMs(Date.now() + 4_000) });
    expect((await refusal(fixture.pay(order))).reason).toBe("ORDER_EXPIRED");
    fixture.change(order, { expiresAt: timestampFromMs(Date.now() + 900_000) });
    await fixture.deliver(OrderExtendedSchema, order);
    await fixture.pay(order);
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it("authorizes the payment on the next poll after the buyer succeeds", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order, ASKED);
    await fixture.answerBank(order, "complete");
    expect(await get(fixture, order)).toMatchObject({
      payment: { status: PaymentStatus.AUTHORIZED },
      clientSecret: "",
    });
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it("authorizes the payment by webhook if the buyer succeeds and leaves", async () => {
    const fixture = await paymentsFixture({ webhooks: true });
    const order = await fixture.buy();
    await fixture.pay(order, ASKED);
    await fixture.answerBank(order, "complete");
    await fixture.attemptReaches(order, "AUTHORIZED");
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it("authorizes the payment by the reconciler if no webhook arrives", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order, ASKED);
    await fixture.answerBank(order, "complete");
    fixture.clock.ahead += 61_000;
    await fixture.settler.reconcile();
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it.each(["webhook", "GetPayment", "reconciler"])(
    "is a soft decline if the buyer fails, as detected by the %s",
    async (how) => {
      const fixture = await paymentsFixture({ webhooks: how === "webhook" });
      const order = await fixture.buy();
      await fixture.pay(order, ASKED);
      await fixture.answerBank(order, "fail");
      if (how === "GetPayment") await get(fixture, order);
      if (how === "reconciler") await fixture.settler.reconcile();
      await fixture.attemptReaches(order, "FAILED");
      const code = "payment_intent_authentication_failure";
      expect((await get(fixture, order)).payment?.failureCode).toBe(code);
      expect(await fixture.eventNames(order)).toEqual(["PaymentActionRequired"]);
      // Otherwise the page, which has the client secret, could confirm it again.
      expect((await fixture.stripeState(order)).intents).toMatchObject([{ status: "canceled" }]);
      await fixture.pay(order);
      expect(await fixture.settled(order)).toBe("COMPLETED");
    },
  );

  it("cancels the order if the bank declines in the end", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order, "tok_threeDSecureRequiredChargeDeclined");
    await fixture.answerBank(order, "complete");
    expect((await get(fixture, order)).payment?.failureCode).toBe("generic_decline");
    expect(await fixture.eventNames(order)).toEqual(["PaymentActionRequired", "ChargeFailed"]);
    expect(await fixture.settled(order)).toBe("CANCELLED");
  });

  it("is canceled for a new attempt", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order, ASKED);
    await fixture.pay(order, "tok_visa");
    const { intents } = await fixture.stripeState(order);
    expect(intents.map(({ status }) => status)).toEqual(["canceled", "requires_capture"]);
    expect(await fixture.statuses(order)).toEqual(["FAILED", "AUTHORIZED"]);
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it("is not canceled for a new attempt if the buyer has already succeeded", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order, ASKED);
    await fixture.answerBank(order, "complete");
    expect((await refusal(fixture.pay(order))).reason).toBe("PAYMENT_IN_PROGRESS");
    expect(await fixture.statuses(order)).toEqual(["AUTHORIZED"]);
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it("ends with the order: a buyer who succeeds afterwards is not charged", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order, ASKED);
    const answer = await fixture.bankPage(order);
    await fixture.cancel(order, CancelReason.EXPIRED);
    await fixture.attemptReaches(order, "FAILED");
    await answer("complete");
    expect((await fixture.stripeState(order)).intents).toMatchObject([{ status: "canceled" }]);
    expect(await fixture.settled(order)).toBe("CANCELLED");
  });

  it("is voided if the buyer succeeds just as the order expires", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order, ASKED);
    await fixture.answerBank(order, "complete");
    await fixture.cancel(order, CancelReason.EXPIRED);
    expect(await fixture.settled(order)).toBe("CANCELLED");
    expect((await fixture.stripeState(order)).intents).toMatchObject([{ status: "canceled" }]);
  });
});
