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

/** Under which keys Stripe was asked for refunds, and did them. */
async function keys(fixture: PaymentsFixture): Promise<unknown[]> {
  const { data } = await fastRetryStripe(fixture.stripeServer.base).events.list({
    type: "refund.created",
  });
  return data.map(({ request }) => request?.idempotency_key);
}

/** Somebody does something on Stripe's own pages. */
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
    ["loses every answer for a while", { drop: true, times: 6 }, 0],
    ["answers 500 and has done it", { fail: 500, late: true, times: 1 }, 0],
    ["answers 500 and has not done it, for a while", { fail: 500, times: 6 }, 2],
    ["takes more time than we give it", { slow: 150, times: 6 }, 0],
  ])("of a part is made once where Stripe %s", async (_, fault, faults) => {
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
    // Under a key that has seen a fault of Stripe's own it would see it again for a day.
    expect(await keys(fixture)).toEqual([`${refund?.id}:${faults}`]);
    expect(await refundsOf(fixture, order)).toEqual(["SUCCEEDED"]);
    expect(alarms(fixture)).toEqual([]);
  });

  it("is made once by ten who settle it at the same time", async () => {
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

  it("has failed where the bank returns it later: the money is there again, and an alarm", async () => {
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

  it("of an order that has ended is not tried again and again where the bank returns it", async () => {
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
    await outside(fixture, order); // The person whom the alarm called.
    await settlePayment(fixture.deps, order.id, true);
    expect(await fixture.statuses(order)).toEqual(["REFUNDED"]);
  });

  it("that Stripe refuses for a reason that nobody knows has failed, with an alarm", async () => {
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
    await requestRefund(fixture, order, "seller"); // It may be asked for again.
    expect(await fixture.settled(order)).toBe("CANCELLED");
  });
});

describe("a refund in the Stripe Dashboard", () => {
  it("is noticed in parts and in full, each once, under Stripe's id", async () => {
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

  it("is noticed at once also where we did not know that it had been taken", async () => {
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

  it("explains why our own refund of it is refused: that one has failed, without an alarm", async () => {
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
    "takes the money with it, with an alarm; where it is %s, so says the ledger",
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

  it("explains why a refund is refused that was begun just before", async () => {
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

describe("an authorization that the bank lets run out", () => {
  it.each([
    ["before the order has accepted it", false],
    ["and that the order has accepted", true],
  ])("%s ends the order, and nobody is charged", async (_, accepted) => {
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
  it("brings to Stripe what was decided just before a crash", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await fixture.settler.close();
    await requestRefund(fixture, order, "seller");
    const { settler } = fixture.start();
    expect(await refundsOf(fixture, order)).toEqual(["PENDING"]); // Nobody has saved, so nobody looks.
    await settler.reconcile();
    expect(await fixture.settled(order)).toBe("CANCELLED");
  });

  it("finds what is going back by an index, and not by reading everything", async () => {
    const { payments } = await paymentsFixture();
    const plan = JSON.stringify(await payments.find(UNSETTLED).explain("queryPlanner"));
    expect(plan).toContain("IXSCAN");
    expect(plan).not.toContain("COLLSCAN");
  });
});

describe("a refund that was decided", () => {
  it("is of what is left, where a part went back meanwhile", async () => {
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
    "is not asked for where a %s took all of it meanwhile",
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

  it("because of a dispute raises another alarm when that is won", async () => {
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

describe("a buyer's refund request that tickets does not answer", () => {
  it("raises an alarm, and stands in nobody's way who may decide", async () => {
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
    await fixture.deliverCodeEvent(order, "sealed"); // Too late to change anything.
    expect(await refundsOf(fixture, order)).toEqual(["REFUSED", "SUCCEEDED"]);
    expect((await fixture.stripeState(order)).refunds).toHaveLength(1);
  });

  it("waits no shorter for a part that somebody gives back meanwhile: the code is sealed for all", async () => {
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
