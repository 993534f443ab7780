import { OrderStatus, type Order } from "@ticketing/proto/orders/v1/order";
import Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { refusal } from "#runtime/testing/refusal.ts";
import { feesOf, heldAtStripe, owedToSeller } from "../ledger.ts";
import { UNSETTLED } from "../payment.ts";
import { settlePayment } from "../settlement/settlement.ts";
import { requestRefund, completedOrder, refundsOf, stripeIdOf } from "../testing/refunds.ts";
import { fastRetryStripe, type StripeFault } from "../testing/stripe-fixture.ts";
import { paymentsFixture, type PaymentsFixture } from "../testing/payments-fixture.ts";
import { alarmOnWaitingRefunds } from "./waiting-refunds.ts";

const usd = (units: bigint, nanos = 0) => ({ currencyCode: "USD", units, nanos });

const alarms = ({ lines }: PaymentsFixture): unknown[] =>
  lines.filter(({ alarm }) => alarm).map(({ msg }) => msg);

/** The idempotency keys of the refund requests to Stripe, and of the refunds that it made. */
async function keys(fixture: PaymentsFixture): Promise<unknown[]> {
  const { data } = await fastRetryStripe(fixture.stripeServer.base).events.list({
    type: "refund.created",
  });
  return data.map(({ request }) => request?.idempotency_key);
}

/** An action in the Stripe Dashboard. */
const outside = async (
  fixture: PaymentsFixture,
  order: Order,
  amount?: number,
): Promise<Stripe.Refund> =>
  fastRetryStripe(fixture.stripeServer.base).refunds.create({
    payment_intent: await stripeIdOf(fixture, order),
    ...(amount !== undefined && { amount }),
  });

const dispute = async (fixture: PaymentsFixture, order: Order): Promise<string> => {
  const payment_intent = await stripeIdOf(fixture, order);
  return (
    (await fixture.stripeServer.control("POST", "disputes", { payment_intent })) as { id: string }
  ).id;
};

describe("a refund", () => {
  it.each<[string, StripeFault, number]>([
    ["loses the answer, twice", { drop: true, times: 2 }, 0],
    ["loses every answer, several times", { drop: true, times: 6 }, 0],
    ["answers 500 after the refund", { fail: 500, late: true, times: 1 }, 0],
    ["answers 500 before the refund, several times", { fail: 500, times: 6 }, 2],
    ["exceeds the request timeout", { slow: 150, times: 6 }, 0],
  ])("of a part is made once if Stripe %s", async (_, fault, faults) => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await fixture.settler.close();
    fixture.start(
      fastRetryStripe(fixture.stripeServer.base, { timeoutMs: "slow" in fault ? 50 : 8_000 }),
    );
    await fixture.fault({ method: "POST", path: "/v1/refunds", ...fault });
    const { refund } = await requestRefund(fixture, order, "administrator", { amount: usd(5n) });
    await fixture.attemptReaches(order, "PARTLY_REFUNDED");
    expect(await fixture.settled(order)).toBe("COMPLETED");
    const { refunds } = await fixture.stripeState(order);
    const metadata = { order_id: order.id, refund_id: refund?.id };
    expect(refunds).toMatchObject([{ amount: 500, metadata }]);
    // Under the same idempotency key, Stripe would repeat its own error for a day.
    expect(await keys(fixture)).toEqual([`${refund?.id}:${faults}`]);
    expect(await refundsOf(fixture, order)).toEqual(["SUCCEEDED"]);
    expect(alarms(fixture)).toEqual([]);
  });

  it("is made once by ten concurrent workers", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await fixture.settler.close();
    await requestRefund(fixture, order, "seller");
    await Promise.allSettled(
      Array.from({ length: 10 }, () => settlePayment(fixture.deps, order.id, false)),
    );
    await settlePayment(fixture.deps, order.id, true);
    expect((await fixture.stripeState(order)).refunds).toHaveLength(1);
    expect(
      (await fixture.eventNames(order)).filter((name) => name === "ChargeRefunded"),
    ).toHaveLength(1);
    await fixture.settled(order);
  });

  it("fails if the bank returns it later: the money is refundable again, and an alarm is raised", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture, {}, "tok_pendingRefund");
    await requestRefund(fixture, order, "administrator", { amount: usd(5n) });
    await fixture.attemptReaches(order, "PARTLY_REFUNDED");
    const [refund] = (await fixture.stripeState(order)).refunds;
    await fixture.stripeServer.control("POST", `refunds/${refund?.id}`, { status: "failed" });
    for (let i = 0; i < 3; i += 1) await settlePayment(fixture.deps, order.id, true);
    expect(await fixture.statuses(order)).toEqual(["CAPTURED"]);
    expect(await refundsOf(fixture, order)).toEqual(["FAILED"]);
    expect(heldAtStripe((await fixture.load(order.id)).postings)).toBe(2550);
    expect(alarms(fixture)).toEqual(["a refund failed; check it in the Stripe Dashboard"]);
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it("of an order that has ended is not retried if the bank returns it", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture, {}, "tok_pendingRefund");
    await requestRefund(fixture, order, "seller");
    expect(await fixture.settled(order)).toBe("CANCELLED");
    const [refund] = (await fixture.stripeState(order)).refunds;
    await fixture.stripeServer.control("POST", `refunds/${refund?.id}`, { status: "failed" });
    await settlePayment(fixture.deps, order.id, true);
    await fixture.settler.reconcile();
    await fixture.settler.close();
    expect((await fixture.stripeState(order)).refunds).toHaveLength(1);
    expect(await fixture.statuses(order)).toEqual(["CAPTURED"]);
    await outside(fixture, order); // The operator who receives the alarm.
    await settlePayment(fixture.deps, order.id, true);
    expect(await fixture.statuses(order)).toEqual(["REFUNDED"]);
  });

  it("fails with an alarm if Stripe refuses it for an unknown reason", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await fixture.settler.close();
    const refusing = Object.create(fixture.deps.stripe, {
      refunds: {
        value: {
          list: (params: object) => fixture.deps.stripe.refunds.list(params),
          create: () =>
            Promise.reject(
              new Stripe.errors.StripeInvalidRequestError({
                type: "invalid_request_error",
                message: "no",
                statusCode: 400,
              }),
            ),
        },
      },
    }) as Stripe;
    await requestRefund(fixture, order, "seller");
    await settlePayment({ ...fixture.deps, stripe: refusing }, order.id, false);
    expect(await refundsOf(fixture, order)).toEqual(["FAILED"]);
    expect(alarms(fixture)).toEqual([
      "Stripe refuses a refund; check the payment in the Stripe Dashboard",
    ]);
    fixture.start();
    await requestRefund(fixture, order, "seller"); // It can be requested again.
    expect(await fixture.settled(order)).toBe("CANCELLED");
  });
});

describe("a refund in the Stripe Dashboard", () => {
  it("is recorded once, partial or full, under Stripe's id", async () => {
    const fixture = await paymentsFixture({ webhooks: true });
    const order = await completedOrder(fixture);
    const first = await outside(fixture, order, 1000);
    await fixture.attemptReaches(order, "PARTLY_REFUNDED");
    expect(await fixture.settled(order)).toBe("COMPLETED");
    const second = await outside(fixture, order);
    await fixture.attemptReaches(order, "REFUNDED");
    expect(await fixture.settled(order)).toBe("CANCELLED");
    const { refunds, postings } = await fixture.load(order.id);
    expect(refunds).toMatchObject([
      { _id: first.id, amount: 1000, reason: "OUTSIDE", status: "SUCCEEDED" },
      { _id: second.id, amount: 1550, reason: "OUTSIDE", status: "SUCCEEDED" },
    ]);
    expect([heldAtStripe(postings), feesOf(postings), owedToSeller(postings)]).toEqual([0, 0, 0]);
    expect(
      (await fixture.eventNames(order)).filter((name) => name === "ChargeRefunded"),
    ).toHaveLength(2);
  });

  it("is recorded at once even if the capture was unknown", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order);
    await fastRetryStripe(fixture.stripeServer.base).paymentIntents.capture(
      await stripeIdOf(fixture, order),
    );
    await outside(fixture, order, 1000);
    await settlePayment(fixture.deps, order.id, true);
    expect(await fixture.statuses(order)).toEqual(["PARTLY_REFUNDED"]);
    await fixture.settler.reconcile();
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it("explains the refusal of our own refund, which fails without an alarm", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await fixture.fault({ method: "POST", path: "/v1/refunds", hold: true });
    await requestRefund(fixture, order, "seller");
    await expect
      .poll(
        async () =>
          ((await fixture.stripeServer.control("GET", "faults")) as { met: number }[])[0]?.met,
      )
      .toBe(1);
    await outside(fixture, order);
    await fixture.stripeServer.control("DELETE", "faults");
    expect(await fixture.settled(order)).toBe("CANCELLED");
    expect(await refundsOf(fixture, order)).toEqual(["FAILED", "SUCCEEDED"]);
    expect(alarms(fixture)).toEqual([]);
  });
});

describe("a dispute", () => {
  it.each(["won", "lost"] as const)(
    "takes the money with an alarm, and the ledger shows when it is %s",
    async (status) => {
      const fixture = await paymentsFixture({ webhooks: true });
      const order = await completedOrder(fixture);
      const held = async () => heldAtStripe((await fixture.load(order.id)).postings);
      const is = (word: string) =>
        expect.poll(async () => (await fixture.load(order.id)).dispute?.status).toBe(word);
      const id = await dispute(fixture, order);
      await is("OPEN");
      expect(await held()).toBe(0);
      await fixture.stripeServer.control("POST", `disputes/${id}`, { status });
      await is(status.toUpperCase());
      for (let i = 0; i < 3; i += 1) await settlePayment(fixture.deps, order.id, true);
      const { postings } = await fixture.load(order.id);
      const isWon = status === "won";
      expect([heldAtStripe(postings), feesOf(postings), owedToSeller(postings)]).toEqual(
        isWon ? [2550, 128, 2422] : [0, 0, 0],
      );
      expect(alarms(fixture)).toEqual([
        "a buyer disputes a payment; respond in the Stripe Dashboard",
      ]);
      const again = requestRefund(fixture, order, "administrator").then(() => "begun");
      expect(await again.catch(() => "refused")).toBe(isWon ? "begun" : "refused");
    },
  );

  it("explains the refusal of a refund that has just begun", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await fixture.settler.close();
    await requestRefund(fixture, order, "seller");
    await dispute(fixture, order);
    await settlePayment(fixture.deps, order.id, false);
    expect(await refundsOf(fixture, order)).toEqual(["FAILED"]);
    expect(alarms(fixture)).toEqual([
      "a buyer disputes a payment; respond in the Stripe Dashboard",
    ]);
  });
});

describe("an expired authorization", () => {
  it.each([
    ["before the order accepts it", false],
    ["after the order accepts it", true],
  ])("%s ends the order without a charge", async (_, accepted) => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order);
    await fixture.settler.close();
    if (accepted) await fixture.accept(order);
    await fixture.stripeServer.control("POST", "expire", {
      payment_intent: await stripeIdOf(fixture, order),
    });
    const { settler } = fixture.start();
    await settler.reconcile();
    expect(await fixture.settled(order)).toBe("CANCELLED");
    expect(order.status).toBe(OrderStatus.CANCELLED);
    expect(await fixture.statuses(order)).toEqual(["FAILED"]);
  });
});

describe("the reconciler", () => {
  it("creates a refund at Stripe that was decided just before a crash", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await fixture.settler.close();
    await requestRefund(fixture, order, "seller");
    const { settler } = fixture.start();
    // Nothing was saved, so no worker is notified.
    expect(await refundsOf(fixture, order)).toEqual(["PENDING"]);
    await settler.reconcile();
    expect(await fixture.settled(order)).toBe("CANCELLED");
  });

  it("finds pending refunds by an index, without a collection scan", async () => {
    const { payments } = await paymentsFixture();
    const plan = JSON.stringify(await payments.find(UNSETTLED).explain("queryPlanner"));
    expect(plan).toContain("IXSCAN");
    expect(plan).not.toContain("COLLSCAN");
  });
});

describe("a decided refund", () => {
  it("is reduced to the rest after a partial refund", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await fixture.settler.close();
    await requestRefund(fixture, order, "buyer");
    await outside(fixture, order, 500);
    await fixture.deliverCodeEvent(order, "sealed");
    for (let i = 0; i < 3; i += 1)
      await settlePayment(fixture.deps, order.id, true).catch(() => undefined);
    expect(await refundsOf(fixture, order)).toEqual(["SUCCEEDED", "SUCCEEDED"]);
    expect(await fixture.statuses(order)).toEqual(["REFUNDED"]);
    const { refunds } = await fixture.stripeState(order);
    expect(refunds.map(({ amount }) => amount).toSorted()).toEqual([2050, 500]);
    expect(alarms(fixture)).toEqual([]);
  });

  it.each(["refund", "dispute"])(
    "is not requested from Stripe if a %s has taken the whole amount",
    async (what) => {
      const fixture = await paymentsFixture();
      const order = await completedOrder(fixture);
      await fixture.settler.close();
      await requestRefund(fixture, order, "seller");
      if (what === "refund") await outside(fixture, order);
      else await dispute(fixture, order);
      await fixture.fault({ method: "POST", path: "/v1/refunds", fail: 500, times: 100 });
      await settlePayment(fixture.deps, order.id, true);
      expect(await refundsOf(fixture, order)).toContain("FAILED");
      const [fault] = (await fixture.stripeServer.control("GET", "faults")) as { met: number }[];
      expect(fault?.met).toBe(0);
    },
  );

  it("that a dispute has blocked raises another alarm when the dispute is won", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await fixture.settler.close();
    await requestRefund(fixture, order, "seller");
    const id = await dispute(fixture, order);
    for (let i = 0; i < 2; i += 1)
      await settlePayment(fixture.deps, order.id, true).catch(() => undefined);
    expect(await refundsOf(fixture, order)).toEqual(["FAILED"]);
    await fixture.stripeServer.control("POST", `disputes/${id}`, { status: "won" });
    await settlePayment(fixture.deps, order.id, true);
    expect(alarms(fixture)).toEqual([
      "a buyer disputes a payment; respond in the Stripe Dashboard",
      "a dispute was won that had blocked a refund; request the refund again",
    ]);
  });
});

describe("a buyer's refund request without an answer from tickets", () => {
  it("raises an alarm, and does not block a seller or administrator", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await requestRefund(fixture, order, "buyer");
    const look = alarmOnWaitingRefunds(fixture.deps);
    await look();
    expect(alarms(fixture)).toEqual([]);
    fixture.clock.ahead = 6 * 60_000;
    await look();
    await look();
    expect(alarms(fixture)).toEqual([
      "a buyer's refund request waits for tickets; refund it as an administrator, or check tickets",
    ]);
    await requestRefund(fixture, order, "administrator");
    await fixture.attemptReaches(order, "REFUNDED");
    expect(await refundsOf(fixture, order)).toEqual(["REFUSED", "SUCCEEDED"]);
    await fixture.deliverCodeEvent(order, "sealed"); // Too late to have an effect.
    expect(await refundsOf(fixture, order)).toEqual(["REFUSED", "SUCCEEDED"]);
    expect((await fixture.stripeState(order)).refunds).toHaveLength(1);
  });

  it("still waits after a partial refund, because the code is locked for the whole amount", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await requestRefund(fixture, order, "buyer");
    const part = requestRefund(fixture, order, "administrator", { amount: usd(5n) });
    expect((await refusal(part)).reason).toBe("REFUND_IN_PROGRESS");
    await outside(fixture, order, 500);
    await settlePayment(fixture.deps, order.id, true);
    await fixture.deliverCodeEvent(order, "sealed");
    expect(await fixture.settled(order)).toBe("CANCELLED");
    expect(
      (await fixture.stripeState(order)).refunds.map(({ amount }) => amount).toSorted(),
    ).toEqual([2050, 500]);
  });
});
