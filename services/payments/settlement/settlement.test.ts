import { CancelReason, OrderStatus, type Order } from "@ticketing/proto/orders/v1/order";
import { OrderAwaitingPaymentSchema } from "@ticketing/proto/orders/v1/order_events";
import { PaymentStatus } from "@ticketing/proto/payments/v1/payment";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { settlePayment } from "./settlement.ts";
import {
  fastRetryStripe,
  type StripeFault,
  crashingStripe,
  type StripeStep,
} from "../testing/stripe-fixture.ts";
import { paymentsFixture, type PaymentsFixture } from "../testing/payments-fixture.ts";

describe("an authorized payment", () => {
  it("is captured once, when the order accepts it", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { payment } = await fixture.pay(order);
    expect(await fixture.settled(order)).toBe("COMPLETED");
    const { intents, taken } = await fixture.stripeState(order);
    expect(intents).toMatchObject([{ status: "succeeded", amount_received: 2550 }]);
    expect(taken).toHaveLength(1);
    const [authorized, charged, ...more] = await fixture.recordedEvents(order.id);
    expect(authorized).toMatchObject({
      name: "PaymentAuthorized",
      payment: { attemptId: payment?.attemptId, status: PaymentStatus.AUTHORIZED },
    });
    expect(charged).toMatchObject({
      name: "ChargeCreated",
      payment: { attemptId: payment?.attemptId, status: PaymentStatus.CAPTURED },
    });
    expect(charged!.payment.version).toBeGreaterThan(authorized!.payment.version);
    expect(more).toEqual([]);
  });

  it("is voided if an open order accepts another attempt", async () => {
    const fixture = await paymentsFixture();
    for (const status of [OrderStatus.AWAITING_PAYMENT, OrderStatus.COMPLETED]) {
      const order = await fixture.buy();
      await fixture.pay(order);
      fixture.change(order, { status, attemptId: newId() });
      await fixture.deliver(OrderAwaitingPaymentSchema, order);
      await fixture.attemptReaches(order, "VOIDED");
      expect(await fixture.eventNames(order)).toEqual(["PaymentAuthorized", "PaymentVoided"]);
      const { intents, taken } = await fixture.stripeState(order);
      expect(intents).toMatchObject([{ status: "canceled" }]);
      expect(taken).toEqual([]);
    }
  });

  it("is canceled if its buyer is still at the bank when the order accepts another attempt", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order, "tok_threeDSecure2Required");
    fixture.change(order, { status: OrderStatus.AWAITING_PAYMENT, attemptId: newId() });
    await fixture.deliver(OrderAwaitingPaymentSchema, order);
    await fixture.attemptReaches(order, "FAILED");
    expect((await fixture.stripeState(order)).intents).toMatchObject([{ status: "canceled" }]);
  });

  it("is refunded if it is captured although an open order accepts another attempt", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order);
    const { stripeId = "" } = (await fixture.load(order.id)).attempts[0] ?? {};
    await fixture.fault({ method: "POST", path: "/cancel", fail: 503, times: 3 });
    await fastRetryStripe(fixture.stripeServer.base).paymentIntents.capture(stripeId);
    fixture.change(order, { status: OrderStatus.AWAITING_PAYMENT, attemptId: newId() });
    await fixture.deliver(OrderAwaitingPaymentSchema, order);
    await fixture.attemptReaches(order, "REFUNDED");
    expect((await fixture.stripeState(order)).refunds).toMatchObject([{ amount: 2550 }]);
  });

  it("is not captured before the order accepts it", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order);
    for (let i = 0; i < 3; i += 1) await settlePayment(fixture.deps, order.id, true);
    await fixture.settler.reconcile();
    expect(await fixture.statuses(order)).toEqual(["AUTHORIZED"]);
    expect((await fixture.stripeState(order)).taken).toEqual([]);
  });

  it("ends the order if it definitely cannot be captured any more", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { payment } = await fixture.pay(order);
    await fastRetryStripe(fixture.stripeServer.base).paymentIntents.cancel(payment!.stripeId);
    expect(await fixture.settled(order)).toBe("CANCELLED");
    expect(order.cancelReason).toBe(CancelReason.PAYMENT_FAILED);
    expect(await fixture.eventNames(order)).toEqual(["PaymentAuthorized", "ChargeFailed"]);
  });

  it("is captured once by ten concurrent workers (P12)", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order);
    await fixture.accept(order);
    await Promise.allSettled(
      Array.from({ length: 10 }, () => settlePayment(fixture.deps, order.id, true)),
    );
    await fixture.attemptReaches(order, "CAPTURED");
    expect(await fixture.settled(order)).toBe("COMPLETED");
    expect(await fixture.eventNames(order)).toEqual(["PaymentAuthorized", "ChargeCreated"]);
  });
});

describe("an order that ends without a sale", () => {
  it("has its authorization voided", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { payment } = await fixture.pay(order);
    await fixture.cancel(order, CancelReason.EXPIRED);
    expect(await fixture.settled(order)).toBe("CANCELLED");
    const [, voided, ...more] = await fixture.recordedEvents(order.id);
    expect(voided).toMatchObject({
      name: "PaymentVoided",
      payment: { attemptId: payment?.attemptId, status: PaymentStatus.VOIDED },
    });
    expect(more).toEqual([]);
    expect((await fixture.stripeState(order)).intents).toMatchObject([{ status: "canceled" }]);
  });

  it.each(["/v1/payment_intents", "/confirm"])(
    "during a request to %s is not charged, and its buyer gets an error",
    async (path) => {
      const fixture = await paymentsFixture();
      const order = await fixture.buy();
      await fixture.fault({ method: "POST", path, hold: true });
      const paying = refusal(fixture.pay(order));
      await eventually(async () => {
        const ordered = (await fixture.stripeServer.control("GET", "faults")) as { met: number }[];
        return ordered[0]?.met === 1;
      }, "Stripe to be asked");
      await fixture.cancel(order, CancelReason.EXPIRED);
      await fixture.stripeServer.control("DELETE", "faults");
      expect(await paying).toMatchObject({ reason: "ORDER_EXPIRED" });
      expect(await fixture.settled(order)).toBe("CANCELLED");
      expect((await fixture.stripeState(order)).intents).toMatchObject([{ status: "canceled" }]);
    },
  );

  it("between the authorization and its answer has the authorization voided", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { stripe, died } = crashingStripe(
      fastRetryStripe(fixture.stripeServer.base),
      "confirm",
      "after",
    );
    const first = fixture.start(stripe);
    const lost = first.client.createPayment(
      { orderId: order.id, token: "tok_visa" },
      await as("ann"),
    );
    void lost;
    await died;
    expect((await fixture.stripeState(order)).intents).toMatchObject([
      { status: "requires_capture" },
    ]);
    await fixture.cancel(order);
    expect(await fixture.settled(order)).toBe("CANCELLED");
    expect((await fixture.stripeState(order)).intents).toMatchObject([{ status: "canceled" }]);
  });

  it("has a capture that happens nevertheless refunded once, with an alarm (P14)", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { payment } = await fixture.pay(order);
    await fastRetryStripe(fixture.stripeServer.base).paymentIntents.capture(payment!.stripeId);
    await fixture.cancel(order);
    await Promise.allSettled(
      Array.from({ length: 10 }, () => settlePayment(fixture.deps, order.id, true)),
    );
    expect(await fixture.settled(order)).toBe("CANCELLED");
    expect((await fixture.stripeState(order)).refunds).toMatchObject([{ amount: 2550 }]);
    const [, , refunded, ...more] = await fixture.recordedEvents(order.id);
    expect(refunded).toMatchObject({
      name: "ChargeRefunded",
      payment: { attemptId: payment?.attemptId, status: PaymentStatus.REFUNDED },
    });
    expect(more).toEqual([]);
    expect(fixture.lines).toContainEqual(
      expect.objectContaining({ alarm: true, orderId: order.id }),
    );
  });

  it("has a capture refunded once even if Stripe has forgotten the idempotency key (P13)", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { payment } = await fixture.pay(order);
    const { stripe, died } = crashingStripe(
      fastRetryStripe(fixture.stripeServer.base),
      "refund",
      "after",
    );
    await fixture.settler.close();
    const first = fixture.start(stripe);
    await fastRetryStripe(fixture.stripeServer.base).paymentIntents.capture(payment!.stripeId);
    await fixture.cancel(order);
    await died;
    void first;
    await fixture.stripeServer.control("DELETE", "idempotency_keys");
    const second = fixture.start();
    await second.settler.reconcile();
    expect(await fixture.settled(order)).toBe("CANCELLED");
    expect((await fixture.stripeState(order)).refunds).toHaveLength(1);
  });

  it("without a payment has nothing to settle", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.cancel(order);
    expect(await fixture.settled(order)).toBe("CANCELLED");
    expect(await fixture.eventNames(order)).toEqual([]);
  });
});

// Each request to Stripe, with its path and the order's final status.
const steps: Record<StripeStep, { path: string; end: "COMPLETED" | "CANCELLED" }> = {
  create: { path: "/v1/payment_intents", end: "COMPLETED" },
  confirm: { path: "/confirm", end: "COMPLETED" },
  capture: { path: "/capture", end: "COMPLETED" },
  cancel: { path: "/cancel", end: "CANCELLED" },
  refund: { path: "/v1/refunds", end: "CANCELLED" },
};
const stepNames = Object.keys(steps) as StripeStep[];

/** Continues from an authorization until the step under test is due. */
async function leadTo(step: StripeStep, fixture: PaymentsFixture, order: Order): Promise<void> {
  if (step === "refund") {
    const stripeId = (await fixture.load(order.id)).attempts.at(-1)?.stripeId ?? "";
    await fastRetryStripe(fixture.stripeServer.base).paymentIntents.capture(stripeId);
  }
  if (steps[step].end === "CANCELLED") await fixture.cancel(order, CancelReason.EXPIRED);
}

describe.each(stepNames)("a request to %s at Stripe", (step) => {
  const { path, end } = steps[step];
  it.each([
    ["executes but does not answer, twice,", { drop: true, times: 2 }, 0],
    ["executes but does not answer, six times,", { drop: true, times: 6 }, 0],
    ["executes but answers with 500", { fail: 500, late: true, times: 1 }, 0],
    ["rejects with 500 six times", { fail: 500, times: 6 }, 0],
    ["rejects with 503 once", { fail: 503, times: 1 }, 0],
    ["rejects because of its rate limit", { fail: 429, times: 1 }, 0],
    ["answers slowly", { slow: 100, times: 3 }, 0],
    ["answers after the timeout", { slow: 150, times: 6 }, 50],
  ] as const)(
    "that Stripe %s leads to a payment and an order that agree",
    async (_, fault, timeoutMs) => {
      const fixture = await paymentsFixture();
      const order = await fixture.buy();
      await fixture.fault({ method: "POST", path, ...fault });
      const service = timeoutMs
        ? fixture.start(fastRetryStripe(fixture.stripeServer.base, { timeoutMs }))
        : fixture;
      const buyer = await as("ann");
      // The buyer retries until the request succeeds.
      await eventually(async () => {
        const call = { orderId: order.id, token: "tok_visa", requestId: newId() };
        const answer = service.client.createPayment(call, buyer);
        return (await answer.catch(() => undefined))?.payment?.status === PaymentStatus.AUTHORIZED;
      }, "the authorization");
      await leadTo(step, fixture, order);
      expect(await fixture.settled(order)).toBe(end);
      const { intents, refunds } = await fixture.stripeState(order);
      expect(intents.filter(({ status }) => status === "succeeded")).toHaveLength(
        step === "cancel" ? 0 : 1,
      );
      expect(refunds).toHaveLength(step === "refund" ? 1 : 0);
    },
  );
});

describe("a buyer whose payment result is unknown", () => {
  it.each<[string, string, StripeFault]>([
    ["the intent is not created", "/v1/payment_intents", { fail: 500 }],
    ["the intent is not confirmed", "/confirm", { fail: 500 }],
    ["the intent is confirmed, but Stripe answers with 500", "/confirm", { fail: 500, late: true }],
    ["the intent is confirmed, but the connection breaks", "/confirm", { drop: true }],
  ])("repeats the request and pays once: %s", async (_, path, kind) => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const call = { requestId: crypto.randomUUID() };
    await fixture.fault({ method: "POST", path, times: 3, ...kind });
    const first = await fixture.pay(order, "tok_visa", call).catch((error: unknown) => error);
    if (first instanceof Error) {
      expect(await refusal(Promise.reject(first))).toMatchObject({ reason: "NOT_READY" });
    }
    const { payment } = await fixture.pay(order, "tok_visa", call);
    expect(payment?.status).toBe(PaymentStatus.AUTHORIZED);
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it("can use another card at once, although the first request got no answer", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.fault({ method: "POST", path: "/confirm", fail: 500, times: 3 });
    expect(await refusal(fixture.pay(order))).toMatchObject({
      reason: "NOT_READY",
      retryAfterMs: 2000,
    });
    const { payment } = await fixture.pay(order, "tok_mastercard");
    expect(payment?.status).toBe(PaymentStatus.AUTHORIZED);
    const { intents } = await fixture.stripeState(order);
    expect(intents.map(({ status }) => status)).toEqual(["canceled", "requires_capture"]);
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it("gets the decline whose answer was lost", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.fault({ path: "/confirm", drop: true, times: 3 });
    expect((await refusal(fixture.pay(order, "tok_chargeDeclined"))).reason).toBe(
      "PAYMENT_DECLINED",
    );
    expect(await fixture.settled(order)).toBe("CANCELLED");
  });

  it("waits at most a minute for a crashed call, and then pays again", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { stripe, died } = crashingStripe(
      fastRetryStripe(fixture.stripeServer.base),
      "confirm",
      "before",
    );
    const call = { orderId: order.id, token: "tok_visa" };
    void fixture.start(stripe).client.createPayment(call, await as("ann"));
    await died;
    expect((await refusal(fixture.pay(order))).reason).toBe("PAYMENT_IN_PROGRESS");
    fixture.clock.ahead += 60_000;
    expect((await fixture.pay(order)).payment?.status).toBe(PaymentStatus.AUTHORIZED);
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });
});

describe.each(["before", "after"] as const)("a crash %s a request to Stripe", (when) => {
  it.each(stepNames)("to %s is repaired by the reconciler", async (step) => {
    const fixture = await paymentsFixture();
    await fixture.settler.close();
    const order = await fixture.buy();
    const { stripe, died } = crashingStripe(fastRetryStripe(fixture.stripeServer.base), step, when);
    const first = fixture.start(stripe);
    const paying = first.client.createPayment(
      { orderId: order.id, token: "tok_visa" },
      await as("ann"),
    );
    void paying.then(async () => {
      await leadTo(step, fixture, order);
      await fixture.decide(order);
    });
    await died;
    const { end } = steps[step];

    const second = fixture.start();
    await second.settler.reconcile();
    fixture.clock.ahead += 60_000;
    await second.settler.reconcile();
    if (step === "create" || (step === "confirm" && when === "before")) {
      await fixture.attemptReaches(order, "FAILED");
      await second.client.createPayment({ orderId: order.id, token: "tok_visa" }, await as("ann"));
    }
    expect(await fixture.settled(order)).toBe(end);
  });
});

describe("a crash between two steps", () => {
  it("of a decline is repaired by the reconciler: the order ends", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { stripe, died } = crashingStripe(
      fastRetryStripe(fixture.stripeServer.base),
      "cancel",
      "before",
    );
    const first = fixture.start(stripe);
    const call = { orderId: order.id, token: "tok_chargeDeclined" };
    void first.client.createPayment(call, await as("ann"));
    await died;
    expect(await fixture.statuses(order)).toEqual(["PENDING"]);
    fixture.clock.ahead += 60_000;
    await fixture.settler.reconcile();
    expect(await fixture.settled(order)).toBe("CANCELLED");
    expect(order.cancelReason).toBe(CancelReason.PAYMENT_FAILED);
  });
});

describe("a failed settlement", () => {
  const PAUSE_MS = 12_345;

  /** A failing worker, whose pause identifies its timers. */
  async function failing() {
    const fixture = await paymentsFixture();
    await fixture.settler.close();
    const order = await fixture.buy();
    await fixture.pay(order);
    await fixture.fault({ fail: 500, times: 100_000 });
    await fixture.accept(order);
    const { settler } = fixture.start(fastRetryStripe(fixture.stripeServer.base), PAUSE_MS);
    const begun = vi.spyOn(globalThis, "setTimeout");
    const ended = vi.spyOn(globalThis, "clearTimeout");
    onTestFinished(() => void (begun.mockRestore(), ended.mockRestore()));
    const failures = (): number =>
      fixture.lines.filter(({ msg }) => String(msg).startsWith("a payment is not settled yet"))
        .length;
    const pauses = (): number => {
      const cleared = new Set(ended.mock.calls.map(([timer]) => timer));
      return begun.mock.results.filter(
        ({ value }, i) => Number(begun.mock.calls[i]?.[1]) > PAUSE_MS / 2 && !cleared.has(value),
      ).length;
    };
    return { fixture, order, settler, failures, pauses };
  }

  it("has one sequence of retries, however often the reconciler runs", async () => {
    const { fixture, order, settler, failures, pauses } = await failing();
    for (let i = 1; i <= 10; i += 1) {
      await settler.reconcile();
      await eventually(() => failures() > 0, "a failure");
      fixture.clock.ahead += 61_000;
    }
    await settler.idle();
    expect(failures()).toBe(1);
    expect(pauses()).toBe(1);
    await fixture.stripeServer.control("DELETE", "faults");
    settler.enqueuePoll(order.id);
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it("is not retried once the process shuts down", async () => {
    const { settler, failures, pauses } = await failing();
    await settler.reconcile();
    await settler.close();
    expect(failures()).toBe(1);
    expect(pauses()).toBe(0);
  });
});

describe("with only the reconciler", () => {
  it("all payments reach their final state, even if every webhook and every process is lost", async () => {
    const fixture = await paymentsFixture();
    await fixture.settler.close();
    const cards = ["tok_visa", "tok_threeDSecure2Required", "tok_chargeDeclined"];
    const orders: Order[] = [];
    for (let i = 0; i < 30; i += 1) {
      const order = await fixture.buy();
      orders.push(order);
      await fixture.pay(order, cards[i % 3]).catch(() => undefined);
      if (i % 3 === 1) await fixture.answerBank(order, i % 2 === 0 ? "complete" : "fail");
      if (i % 5 === 0) await fixture.cancel(order);
    }
    const last = fixture.start();
    fixture.clock.ahead += 61_000;
    await last.settler.reconcile();
    for (const order of orders) {
      await eventually(async () => {
        const [newest] = (await fixture.statuses(order)).slice(-1);
        return newest !== "PENDING" && newest !== "REQUIRES_ACTION";
      }, "the result of the payment");
      await fixture.decide(order);
      if (order.status === OrderStatus.CREATED) await fixture.cancel(order, CancelReason.EXPIRED);
      await fixture.settled(order);
    }
  });
});
