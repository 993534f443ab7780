import { CancelReason, OrderStatus, type Order } from "@ticketing/proto/orders/v1/order";
import { OrderAwaitingPaymentSchema } from "@ticketing/proto/orders/v1/order_events";
import { PaymentStatus } from "@ticketing/proto/payments/v1/payment";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { settle } from "./settlement.ts";
import { hastyStripe, type Fault, dying, type StripeStep } from "../testing/stripe-fixture.ts";
import { world, type World } from "../testing/payments-fixture.ts";

describe("an authorized payment", () => {
  it("is captured when the order accepts it, once", async () => {
    const all = await world();
    const order = await all.buy();
    const { payment } = await all.pay(order);
    expect(await all.settled(order)).toBe("COMPLETED");
    const { intents, taken } = await all.books(order);
    expect(intents).toMatchObject([{ status: "succeeded", amount_received: 2550 }]);
    expect(taken).toHaveLength(1);
    const [authorized, charged, ...more] = await all.heard(order.id);
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

  it("is voided where a live order accepted another attempt", async () => {
    const all = await world();
    for (const status of [OrderStatus.AWAITING_PAYMENT, OrderStatus.COMPLETED]) {
      const order = await all.buy();
      await all.pay(order);
      all.change(order, { status, attemptId: newId() });
      await all.tell(OrderAwaitingPaymentSchema, order);
      await all.reaches(order, "VOIDED");
      expect(await all.names(order)).toEqual(["PaymentAuthorized", "PaymentVoided"]);
      const { intents, taken } = await all.books(order);
      expect(intents).toMatchObject([{ status: "canceled" }]);
      expect(taken).toEqual([]);
    }
  });

  it("is given up where its buyer was still at the bank when the order accepted another", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order, "tok_threeDSecure2Required");
    all.change(order, { status: OrderStatus.AWAITING_PAYMENT, attemptId: newId() });
    await all.tell(OrderAwaitingPaymentSchema, order);
    await all.reaches(order, "FAILED");
    expect((await all.books(order)).intents).toMatchObject([{ status: "canceled" }]);
  });

  it("is given back where it was taken though a live order accepted another", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order);
    const { stripeId = "" } = (await all.load(order.id)).attempts[0] ?? {};
    await all.fault({ method: "POST", path: "/cancel", fail: 503, times: 3 });
    await hastyStripe(all.bank.base).paymentIntents.capture(stripeId);
    all.change(order, { status: OrderStatus.AWAITING_PAYMENT, attemptId: newId() });
    await all.tell(OrderAwaitingPaymentSchema, order);
    await all.reaches(order, "REFUNDED");
    expect((await all.books(order)).refunds).toMatchObject([{ amount: 2550 }]);
  });

  it("is charged nothing before the order has accepted it", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order);
    for (let i = 0; i < 3; i += 1) await settle(all.deps, order.id, true);
    await all.settler.reconcile();
    expect(await all.statuses(order)).toEqual(["AUTHORIZED"]);
    expect((await all.books(order)).taken).toEqual([]);
  });

  it("ends the order where the money can definitely not be taken any more", async () => {
    const all = await world();
    const order = await all.buy();
    const { payment } = await all.pay(order);
    await hastyStripe(all.bank.base).paymentIntents.cancel(payment!.stripeId);
    expect(await all.settled(order)).toBe("CANCELLED");
    expect(order.cancelReason).toBe(CancelReason.PAYMENT_FAILED);
    expect(await all.names(order)).toEqual(["PaymentAuthorized", "ChargeFailed"]);
  });

  it("is captured once by ten who settle it at the same time (P12)", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order);
    await all.accept(order);
    await Promise.allSettled(Array.from({ length: 10 }, () => settle(all.deps, order.id, true)));
    await all.reaches(order, "CAPTURED");
    expect(await all.settled(order)).toBe("COMPLETED");
    expect(await all.names(order)).toEqual(["PaymentAuthorized", "ChargeCreated"]);
  });
});

describe("an order that ends without a sale", () => {
  it("has what was authorized for it voided", async () => {
    const all = await world();
    const order = await all.buy();
    const { payment } = await all.pay(order);
    await all.cancel(order, CancelReason.EXPIRED);
    expect(await all.settled(order)).toBe("CANCELLED");
    const [, voided, ...more] = await all.heard(order.id);
    expect(voided).toMatchObject({
      name: "PaymentVoided",
      payment: { attemptId: payment?.attemptId, status: PaymentStatus.VOIDED },
    });
    expect(more).toEqual([]);
    expect((await all.books(order)).intents).toMatchObject([{ status: "canceled" }]);
  });

  it.each(["/v1/payment_intents", "/confirm"])(
    "while Stripe works on %s, is charged nothing, and its buyer is told",
    async (path) => {
      const all = await world();
      const order = await all.buy();
      await all.fault({ method: "POST", path, hold: true });
      const paying = refusal(all.pay(order));
      await eventually(async () => {
        const ordered = (await all.bank.turn("GET", "faults")) as { met: number }[];
        return ordered[0]?.met === 1;
      }, "Stripe to be asked");
      await all.cancel(order, CancelReason.EXPIRED);
      await all.bank.turn("DELETE", "faults");
      expect(await paying).toMatchObject({ reason: "ORDER_EXPIRED" });
      expect(await all.settled(order)).toBe("CANCELLED");
      expect((await all.books(order)).intents).toMatchObject([{ status: "canceled" }]);
    },
  );

  it("between the authorization and the word of it, is voided too", async () => {
    const all = await world();
    const order = await all.buy();
    const { stripe, died } = dying(hastyStripe(all.bank.base), "confirm", "after");
    const first = all.start(stripe);
    const lost = first.client.createPayment(
      { orderId: order.id, token: "tok_visa" },
      await as("ann"),
    );
    void lost;
    await died;
    expect((await all.books(order)).intents).toMatchObject([{ status: "requires_capture" }]);
    await all.cancel(order);
    expect(await all.settled(order)).toBe("CANCELLED");
    expect((await all.books(order)).intents).toMatchObject([{ status: "canceled" }]);
  });

  it("gets back what was taken for it nevertheless, once, and with an alarm (P14)", async () => {
    const all = await world();
    const order = await all.buy();
    const { payment } = await all.pay(order);
    await hastyStripe(all.bank.base).paymentIntents.capture(payment!.stripeId);
    await all.cancel(order);
    await Promise.allSettled(Array.from({ length: 10 }, () => settle(all.deps, order.id, true)));
    expect(await all.settled(order)).toBe("CANCELLED");
    expect((await all.books(order)).refunds).toMatchObject([{ amount: 2550 }]);
    const [, , refunded, ...more] = await all.heard(order.id);
    expect(refunded).toMatchObject({
      name: "ChargeRefunded",
      payment: { attemptId: payment?.attemptId, status: PaymentStatus.REFUNDED },
    });
    expect(more).toEqual([]);
    expect(all.lines).toContainEqual(expect.objectContaining({ alarm: true, orderId: order.id }));
  });

  it("gets it back once also where Stripe has forgotten that it gave it back (P13)", async () => {
    const all = await world();
    const order = await all.buy();
    const { payment } = await all.pay(order);
    const { stripe, died } = dying(hastyStripe(all.bank.base), "refund", "after");
    await all.settler.close();
    const first = all.start(stripe);
    await hastyStripe(all.bank.base).paymentIntents.capture(payment!.stripeId);
    await all.cancel(order);
    await died;
    void first;
    await all.bank.turn("DELETE", "idempotency_keys");
    const second = all.start();
    await second.settler.reconcile();
    expect(await all.settled(order)).toBe("CANCELLED");
    expect((await all.books(order)).refunds).toHaveLength(1);
  });

  it("and was never paid, has nothing to settle", async () => {
    const all = await world();
    const order = await all.buy();
    await all.cancel(order);
    expect(await all.settled(order)).toBe("CANCELLED");
    expect(await all.names(order)).toEqual([]);
  });
});

// Each call to Stripe, and what leads to it.
const steps: Record<StripeStep, { path: string; end: "COMPLETED" | "CANCELLED" }> = {
  create: { path: "/v1/payment_intents", end: "COMPLETED" },
  confirm: { path: "/confirm", end: "COMPLETED" },
  capture: { path: "/capture", end: "COMPLETED" },
  cancel: { path: "/cancel", end: "CANCELLED" },
  refund: { path: "/v1/refunds", end: "CANCELLED" },
};
const stepNames = Object.keys(steps) as StripeStep[];

/** Goes on from an authorization until the step comes that the test is about. */
async function leadTo(step: StripeStep, all: World, order: Order): Promise<void> {
  if (step === "refund") {
    const stripeId = (await all.load(order.id)).attempts.at(-1)?.stripeId ?? "";
    await hastyStripe(all.bank.base).paymentIntents.capture(stripeId);
  }
  if (steps[step].end === "CANCELLED") await all.cancel(order, CancelReason.EXPIRED);
}

describe.each(stepNames)("when Stripe is asked to %s", (step) => {
  const { path, end } = steps[step];
  it.each([
    ["does it and loses the answer, twice", { drop: true, times: 2 }, 0],
    ["does it and loses every answer for a while", { drop: true, times: 6 }, 0],
    ["does it and answers 500", { fail: 500, late: true, times: 1 }, 0],
    ["does nothing and answers 500 for a while", { fail: 500, times: 6 }, 0],
    ["does nothing and answers 503 once", { fail: 503, times: 1 }, 0],
    ["answers that there are too many requests", { fail: 429, times: 1 }, 0],
    ["takes its time", { slow: 100, times: 3 }, 0],
    ["takes more time than we give it", { slow: 150, times: 6 }, 50],
  ] as const)("and %s, money and order agree in the end", async (_, fault, timeoutMs) => {
    const all = await world();
    const order = await all.buy();
    await all.fault({ method: "POST", path, ...fault });
    const service = timeoutMs ? all.start(hastyStripe(all.bank.base, { timeoutMs })) : all;
    const buyer = await as("ann");
    // The buyer presses the button until it has worked.
    await eventually(async () => {
      const call = { orderId: order.id, token: "tok_visa", requestId: newId() };
      const answer = service.client.createPayment(call, buyer);
      return (await answer.catch(() => undefined))?.payment?.status === PaymentStatus.AUTHORIZED;
    }, "the authorization");
    await leadTo(step, all, order);
    expect(await all.settled(order)).toBe(end);
    const { intents, refunds } = await all.books(order);
    expect(intents.filter(({ status }) => status === "succeeded")).toHaveLength(
      step === "cancel" ? 0 : 1,
    );
    expect(refunds).toHaveLength(step === "refund" ? 1 : 0);
  });
});

describe("a buyer to whom nobody could say what became of the payment", () => {
  it.each<[string, string, Fault]>([
    ["the intent could not be made", "/v1/payment_intents", { fail: 500 }],
    ["it could not be confirmed", "/confirm", { fail: 500 }],
    ["it was confirmed, but nobody heard", "/confirm", { fail: 500, late: true }],
    ["it was confirmed, but the line broke", "/confirm", { drop: true }],
  ])("asks again with the same request and pays once: %s", async (_, path, kind) => {
    const all = await world();
    const order = await all.buy();
    const call = { requestId: crypto.randomUUID() };
    await all.fault({ method: "POST", path, times: 3, ...kind });
    const first = await all.pay(order, "tok_visa", call).catch((error: unknown) => error);
    if (first instanceof Error) {
      expect(await refusal(Promise.reject(first))).toMatchObject({ reason: "NOT_READY" });
    }
    const { payment } = await all.pay(order, "tok_visa", call);
    expect(payment?.status).toBe(PaymentStatus.AUTHORIZED);
    expect(await all.settled(order)).toBe("COMPLETED");
  });

  it("may ask with another card at once, though no answer came for the first", async () => {
    const all = await world();
    const order = await all.buy();
    await all.fault({ method: "POST", path: "/confirm", fail: 500, times: 3 });
    expect(await refusal(all.pay(order))).toMatchObject({
      reason: "NOT_READY",
      retryAfterMs: 2000,
    });
    const { payment } = await all.pay(order, "tok_mastercard");
    expect(payment?.status).toBe(PaymentStatus.AUTHORIZED);
    const { intents } = await all.books(order);
    expect(intents.map(({ status }) => status)).toEqual(["canceled", "requires_capture"]);
    expect(await all.settled(order)).toBe("COMPLETED");
  });

  it("is told of a decline whose answer was lost", async () => {
    const all = await world();
    const order = await all.buy();
    await all.fault({ path: "/confirm", drop: true, times: 3 });
    expect((await refusal(all.pay(order, "tok_chargeDeclined"))).reason).toBe("PAYMENT_DECLINED");
    expect(await all.settled(order)).toBe("CANCELLED");
  });

  it("waits no longer than a minute for a call that died, then pays anew", async () => {
    const all = await world();
    const order = await all.buy();
    const { stripe, died } = dying(hastyStripe(all.bank.base), "confirm", "before");
    const call = { orderId: order.id, token: "tok_visa" };
    void all.start(stripe).client.createPayment(call, await as("ann"));
    await died;
    expect((await refusal(all.pay(order))).reason).toBe("PAYMENT_IN_PROGRESS");
    all.clock.ahead += 60_000;
    expect((await all.pay(order)).payment?.status).toBe(PaymentStatus.AUTHORIZED);
    expect(await all.settled(order)).toBe("COMPLETED");
  });
});

describe.each(["before", "after"] as const)("a crash %s Stripe was asked to", (when) => {
  it.each(stepNames)("%s is made good by the reconciler", async (step) => {
    const all = await world();
    await all.settler.close();
    const order = await all.buy();
    const { stripe, died } = dying(hastyStripe(all.bank.base), step, when);
    const first = all.start(stripe);
    const paying = first.client.createPayment(
      { orderId: order.id, token: "tok_visa" },
      await as("ann"),
    );
    void paying.then(async () => {
      await leadTo(step, all, order);
      await all.decide(order);
    });
    await died;
    const { end } = steps[step];

    const second = all.start();
    await second.settler.reconcile();
    all.clock.ahead += 60_000;
    await second.settler.reconcile();
    if (step === "create" || (step === "confirm" && when === "before")) {
      await all.reaches(order, "FAILED");
      await second.client.createPayment({ orderId: order.id, token: "tok_visa" }, await as("ann"));
    }
    expect(await all.settled(order)).toBe(end);
  });
});

describe("a crash in the middle", () => {
  it("of a decline is made good by the reconciler: the order ends", async () => {
    const all = await world();
    const order = await all.buy();
    const { stripe, died } = dying(hastyStripe(all.bank.base), "cancel", "before");
    const first = all.start(stripe);
    const call = { orderId: order.id, token: "tok_chargeDeclined" };
    void first.client.createPayment(call, await as("ann"));
    await died;
    expect(await all.statuses(order)).toEqual(["PENDING"]);
    all.clock.ahead += 60_000;
    await all.settler.reconcile();
    expect(await all.settled(order)).toBe("CANCELLED");
    expect(order.cancelReason).toBe(CancelReason.PAYMENT_FAILED);
  });
});

describe("what could not be settled", () => {
  const PAUSE_MS = 12_345;

  /** A settler that fails, with a pause by which its timers are known. */
  async function failing() {
    const all = await world();
    await all.settler.close();
    const order = await all.buy();
    await all.pay(order);
    await all.fault({ fail: 500, times: 100_000 });
    await all.accept(order);
    const { settler } = all.start(hastyStripe(all.bank.base), PAUSE_MS);
    const begun = vi.spyOn(globalThis, "setTimeout");
    const ended = vi.spyOn(globalThis, "clearTimeout");
    onTestFinished(() => void (begun.mockRestore(), ended.mockRestore()));
    const failures = (): number =>
      all.lines.filter(({ msg }) => String(msg).startsWith("not settled yet")).length;
    const pauses = (): number => {
      const cleared = new Set(ended.mock.calls.map(([timer]) => timer));
      return begun.mock.results.filter(
        ({ value }, i) => Number(begun.mock.calls[i]?.[1]) > PAUSE_MS / 2 && !cleared.has(value),
      ).length;
    };
    return { all, order, settler, failures, pauses };
  }

  it("is tried again in one row of tries, however often the reconciler comes by", async () => {
    const { all, order, settler, failures, pauses } = await failing();
    for (let i = 1; i <= 10; i += 1) {
      await settler.reconcile();
      await eventually(() => failures() > 0, "a failure");
      all.clock.ahead += 61_000;
    }
    await settler.idle();
    expect(failures()).toBe(1);
    expect(pauses()).toBe(1);
    await all.bank.turn("DELETE", "faults");
    settler.ask(order.id);
    expect(await all.settled(order)).toBe("COMPLETED");
  });

  it("is not tried again once the process is to end", async () => {
    const { settler, failures, pauses } = await failing();
    await settler.reconcile();
    await settler.close();
    expect(failures()).toBe(1);
    expect(pauses()).toBe(0);
  });
});

describe("when nothing but the reconciler is left", () => {
  it("all payments end, though every webhook and every process was lost", async () => {
    const all = await world();
    await all.settler.close();
    const cards = ["tok_visa", "tok_threeDSecure2Required", "tok_chargeDeclined"];
    const orders: Order[] = [];
    for (let i = 0; i < 30; i += 1) {
      const order = await all.buy();
      orders.push(order);
      await all.pay(order, cards[i % 3]).catch(() => undefined);
      if (i % 3 === 1) await all.answerBank(order, i % 2 === 0 ? "complete" : "fail");
      if (i % 5 === 0) await all.cancel(order);
    }
    const last = all.start();
    all.clock.ahead += 61_000;
    await last.settler.reconcile();
    for (const order of orders) {
      await eventually(async () => {
        const [newest] = (await all.statuses(order)).slice(-1);
        return newest !== "PENDING" && newest !== "REQUIRES_ACTION";
      }, "the payment to be known");
      await all.decide(order);
      if (order.status === OrderStatus.CREATED) await all.cancel(order, CancelReason.EXPIRED);
      await all.settled(order);
    }
  });
});
