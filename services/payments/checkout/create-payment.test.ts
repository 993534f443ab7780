import { Code } from "@connectrpc/connect";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CancelReason, OrderStatus } from "@ticketing/proto/orders/v1/order";
import { OrderCompletedSchema } from "@ticketing/proto/orders/v1/order_events";
import { PaymentStatus } from "@ticketing/proto/payments/v1/payment";
import { v7 } from "uuid";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { fastRetryStripe } from "../testing/stripe-fixture.ts";
import { paymentsFixture } from "../testing/payments-fixture.ts";

const usd = (units: bigint, nanos = 0) => ({ currencyCode: "USD", units, nanos });

describe("CreatePayment", () => {
  it("authorizes the price and captures nothing yet", async () => {
    const { buy, pay, stripeState, eventNames } = await paymentsFixture();
    const order = await buy();
    const { payment, clientSecret } = await pay(order);
    const { intents, taken } = await stripeState(order);
    expect(payment).toMatchObject({
      orderId: order.id,
      stripeId: intents[0]?.id,
      amount: { currencyCode: "USD", units: 25n, nanos: 500_000_000 },
      status: PaymentStatus.AUTHORIZED,
      failureCode: "",
    });
    expect(clientSecret).toBe("");
    expect(intents).toHaveLength(1);
    expect(intents[0]).toMatchObject({ status: "requires_capture", amount_capturable: 2550 });
    expect(taken).toEqual([]);
    expect(await eventNames(order)).toEqual(["PaymentAuthorized"]);
  });

  it("creates an unconfirmed intent with manual capture and the ids of its order and attempt", async () => {
    const { buy, pay, stripeServer, fault, stripeState, load } = await paymentsFixture();
    const order = await buy({ title: "A concert 🎸" });
    await fault({ path: "/confirm", hold: true });
    const paying = pay(order);
    const [intent] = await eventually(async () => {
      const { intents } = await stripeState(order);
      return intents.length > 0 && intents;
    }, "an intent");
    const [attempt] = (await load(order.id)).attempts;
    expect(intent).toMatchObject({
      status: "requires_confirmation",
      capture_method: "manual",
      amount: 2550,
      currency: "usd",
      allowed_payment_method_types: ["card"],
      description: "A concert 🎸",
      metadata: { order_id: order.id, attempt_id: attempt?._id },
    });
    const { data } = await fastRetryStripe(stripeServer.base).events.list({
      type: "payment_intent.created",
    });
    expect(data[0]?.request?.idempotency_key).toBe(attempt?._id);
    await stripeServer.control("DELETE", "faults");
    await paying;
  });

  it("stores the attempt before it calls Stripe", async () => {
    const { buy, pay, stripeServer, fault, stripeState, load } = await paymentsFixture();
    const order = await buy();
    await fault({ hold: true });
    const paying = pay(order);
    await eventually(async () => (await load(order.id)).attempts.length === 1, "the attempt");
    expect((await load(order.id)).attempts[0]).toMatchObject({ status: "PENDING" });
    expect((await load(order.id)).attempts[0]).not.toHaveProperty("stripeId");
    expect((await stripeState(order)).intents).toEqual([]);
    await stripeServer.control("DELETE", "faults");
    await paying;
  });

  it("stores the intent's id before it confirms the intent", async () => {
    const { buy, pay, stripeServer, fault, stripeState, load } = await paymentsFixture();
    const order = await buy();
    await fault({ path: "/confirm", hold: true });
    const paying = pay(order);
    const known = await eventually(
      async () => (await load(order.id)).attempts[0]?.stripeId,
      "the intent's id",
    );
    expect((await stripeState(order)).intents).toMatchObject([
      { id: known, status: "requires_confirmation" },
    ]);
    await stripeServer.control("DELETE", "faults");
    await paying;
  });

  it("accepts a payment method as well as a token", async () => {
    const { buy, pay, settled } = await paymentsFixture();
    const order = await buy();
    await pay(order, "pm_card_mastercard");
    expect(await settled(order)).toBe("COMPLETED");
  });

  it.each([
    ["JPY", 1999, { currencyCode: "JPY", units: 1999n }],
    ["KWD", 1990, { currencyCode: "KWD", units: 1n, nanos: 990_000_000 }],
  ])("charges %s in its own minor units", async (currency, amount, price) => {
    const { buy, pay, settled, stripeState } = await paymentsFixture();
    const order = await buy({ price });
    await pay(order, "tok_visa", { amount: price });
    expect(await settled(order)).toBe("COMPLETED");
    const charge = { currency: currency.toLowerCase(), amount_captured: amount };
    expect((await stripeState(order)).taken).toMatchObject([charge]);
  });

  it("accepts the longest title in any script", async () => {
    const { buy, pay } = await paymentsFixture();
    const order = await buy({ title: `a${"🎸".repeat(199)}` });
    expect((await pay(order)).payment?.status).toBe(PaymentStatus.AUTHORIZED);
  });
});

describe("CreatePayment refuses without a request to Stripe", () => {
  it("a caller who is not signed in", async () => {
    const { buy, pay, stripeState } = await paymentsFixture();
    const order = await buy();
    const refused = await refusal(pay(order, "tok_visa", {}, {}));
    expect(refused).toMatchObject({ code: Code.Unauthenticated, reason: "UNAUTHENTICATED" });
    expect((await stripeState(order)).intents).toEqual([]);
  });

  it("another user's order, as if it did not exist", async () => {
    const { buy, pay, anOrder, stripeState } = await paymentsFixture();
    const order = await buy();
    const other = await refusal(pay(order, "tok_visa", {}, await as("eve")));
    const old = anOrder({ id: v7({ msecs: Date.now() - 90_000_000 }) });
    const none = await refusal(pay(old, "tok_visa", {}, await as("eve")));
    expect(other).toMatchObject({ code: Code.NotFound, reason: "ORDER_NOT_FOUND" });
    expect(other).toEqual(none);
    expect((await stripeState(order)).intents).toEqual([]);
  });

  it("an unknown order: temporarily while it is recent, permanently once it is old", async () => {
    const { pay, anOrder, deliver, clock } = await paymentsFixture();
    const young = anOrder();
    expect(await refusal(pay(young))).toMatchObject({
      code: Code.Unavailable,
      reason: "NOT_READY",
      retryAfterMs: 200,
    });
    // While the order may still be open, its event may still be on the way.
    // The suggested retry delay grows over time.
    clock.ahead = 86_400_000;
    const later = { reason: "NOT_READY", retryAfterMs: 60_000 };
    expect(await refusal(pay(young))).toMatchObject(later);
    clock.ahead = 88_200_001;
    expect(await refusal(pay(young))).toMatchObject({
      code: Code.NotFound,
      reason: "ORDER_NOT_FOUND",
    });
    const toCome = anOrder({ id: v7({ msecs: Date.now() + 200_000_000 }) });
    expect((await refusal(pay(toCome))).reason).toBe("ORDER_NOT_FOUND");
    const foreign = anOrder({ id: crypto.randomUUID() });
    expect((await refusal(pay(foreign))).reason).toBe("ORDER_NOT_FOUND");
    expect(deliver).toBeDefined();
  });

  it.each([
    ["too little", usd(25n)],
    ["too much", usd(25n, 510_000_000)],
    [
      "the right number in another currency",
      { currencyCode: "EUR", units: 25n, nanos: 500_000_000 },
    ],
    ["zero", usd(0n)],
    ["a negative amount", usd(-25n, -500_000_000)],
  ])("an agreed amount of %s", async (_, amount) => {
    const { buy, pay, stripeState } = await paymentsFixture();
    const order = await buy();
    expect(await refusal(pay(order, "tok_visa", { amount }))).toMatchObject({
      code: Code.InvalidArgument,
      reason: "AMOUNT_MISMATCH",
    });
    expect((await stripeState(order)).intents).toEqual([]);
  });

  it.each([
    ["fractions of a cent", usd(25n, 500_000_001), "amount.nanos"],
    ["units and nanos with different signs", usd(26n, -500_000_000), "amount.nanos"],
    ["nanos that exceed one unit", usd(24n, 1_500_000_000), "amount.nanos"],
    ["an unknown currency", { currencyCode: "XXX", units: 25n }, "amount.currency_code"],
  ])("an agreed amount with %s, and names the field", async (_, amount, field) => {
    const { buy, pay } = await paymentsFixture();
    const refused = await refusal(pay(await buy(), "tok_visa", { amount }));
    expect(refused).toMatchObject({ code: Code.InvalidArgument, violations: [field] });
  });

  it.each(["", "4242424242424242", "tok_", "tok_a b", "src_visa", `tok_${"x".repeat(251)}`])(
    'the token "%s"',
    async (token) => {
      const { buy, pay } = await paymentsFixture();
      expect(await refusal(pay(await buy(), token))).toMatchObject({
        code: Code.InvalidArgument,
        violations: ["token STRING_PATTERN"],
      });
    },
  );

  it("malformed ids", async () => {
    const { buy, pay } = await paymentsFixture();
    const order = await buy();
    const request = { orderId: "x", requestId: "y" };
    expect((await refusal(pay(order, "tok_visa", request))).violations).toEqual([
      "order_id STRING_UUID",
      "request_id STRING_UUID",
    ]);
  });

  it("an order that is cancelled, expired, awaiting payment or paid", async () => {
    const { buy, pay, cancel, accept, change, deliver, stripeState } = await paymentsFixture();
    const [cancelled, expired, awaiting, completed] = [
      await buy(),
      await buy(),
      await buy(),
      await buy(),
    ];
    await cancel(cancelled);
    await cancel(expired, CancelReason.EXPIRED);
    await accept(awaiting, newId());
    change(completed, { status: OrderStatus.COMPLETED });
    await deliver(OrderCompletedSchema, completed);
    for (const [order, reason] of [
      [cancelled, "ORDER_CANCELLED"],
      [expired, "ORDER_EXPIRED"],
      [awaiting, "PAYMENT_IN_PROGRESS"],
      [completed, "ALREADY_PAID"],
    ] as const) {
      expect(await refusal(pay(order))).toMatchObject({ code: Code.FailedPrecondition, reason });
      expect((await stripeState(order)).intents).toEqual([]);
    }
  });

  it("an order in its last five seconds", async () => {
    const { buy, pay, clock, stripeState } = await paymentsFixture();
    const order = await buy({ expiresAt: timestampFromMs(Date.now() + 60_000) });
    clock.ahead = 55_001;
    expect(await refusal(pay(order))).toMatchObject({
      code: Code.FailedPrecondition,
      reason: "ORDER_EXPIRED",
    });
    expect((await stripeState(order)).intents).toEqual([]);
    clock.ahead = 54_000;
    expect((await pay(order)).payment?.status).toBe(PaymentStatus.AUTHORIZED);
  });
});

// The behavior of Stripe's own test cards.
const softDeclines = [
  ["chargeDeclinedExpiredCard", "expired_card"],
  ["chargeDeclinedIncorrectCvc", "incorrect_cvc"],
  ["chargeDeclinedProcessingError", "processing_error"],
] as const;
const hardDeclines = [
  ["chargeCustomerFail", "generic_decline"],
  ["chargeDeclined", "generic_decline"],
  ["chargeDeclinedFraudulent", "fraudulent"],
  ["chargeDeclinedInsufficientFunds", "insufficient_funds"],
  ["chargeDeclinedLostCard", "lost_card"],
  ["chargeDeclinedStolenCard", "stolen_card"],
  ["radarBlock", "fraudulent"],
  ["visa_chargeDeclinedVelocityLimitExceeded", "card_velocity_exceeded"],
] as const;

describe("a soft decline", () => {
  it.each(softDeclines)("with the card %s keeps the order open: %s", async (card, code) => {
    const { buy, pay, eventNames, load, stripeState, settled } = await paymentsFixture();
    const order = await buy();
    expect(await refusal(pay(order, `tok_${card}`))).toMatchObject({
      code: Code.InvalidArgument,
      reason: "PAYMENT_METHOD_REFUSED",
      metadata: { code },
    });
    expect((await load(order.id)).attempts).toMatchObject([
      { status: "FAILED", failureCode: code },
    ]);
    expect(await eventNames(order)).toEqual([]);
    expect((await stripeState(order)).intents).toMatchObject([{ status: "canceled" }]);
    await pay(order, "pm_card_visa");
    expect(await settled(order)).toBe("COMPLETED");
  });

  it.each(["tok_of_nobody", "pm_of_nobody"])(
    "is the result of a token that Stripe does not know: %s",
    async (token) => {
      const { buy, pay, eventNames, stripeState, settled } = await paymentsFixture();
      const order = await buy();
      expect(await refusal(pay(order, token))).toMatchObject({
        code: Code.InvalidArgument,
        reason: "PAYMENT_METHOD_REFUSED",
        metadata: { code: "resource_missing" },
      });
      expect(await eventNames(order)).toEqual([]);
      expect((await stripeState(order)).intents).toEqual([]);
      await pay(order);
      expect(await settled(order)).toBe("COMPLETED");
    },
  );

  it("can be retried, each time as a new attempt, up to a limit", async () => {
    const { buy, pay, load, statuses } = await paymentsFixture();
    const order = await buy();
    for (let i = 0; i < 20; i += 1) {
      const { reason } = await refusal(pay(order, "tok_chargeDeclinedIncorrectCvc"));
      expect(reason).toBe("PAYMENT_METHOD_REFUSED");
    }
    expect(await refusal(pay(order))).toMatchObject({
      code: Code.ResourceExhausted,
      reason: "TOO_MANY_CARDS",
    });
    const ids = (await load(order.id)).attempts.map(({ _id }) => _id);
    expect(new Set(ids).size).toBe(20);
    expect(new Set(await statuses(order))).toEqual(new Set(["FAILED"]));
  });
});

describe("a hard decline", () => {
  it.each(hardDeclines)("with the card %s cancels the order: %s", async (card, code) => {
    const { buy, pay, recordedEvents, stripeState, settled } = await paymentsFixture();
    const order = await buy();
    expect(await refusal(pay(order, `tok_${card}`))).toMatchObject({
      code: Code.FailedPrecondition,
      reason: "PAYMENT_DECLINED",
      metadata: { code },
    });
    const [event, ...more] = await recordedEvents(order.id);
    const [intent] = (await stripeState(order)).intents;
    expect(event).toMatchObject({
      name: "ChargeFailed",
      payment: {
        orderId: order.id,
        attemptId: intent?.metadata["attempt_id"],
        status: PaymentStatus.FAILED,
        failureCode: code,
      },
    });
    expect(more).toEqual([]);
    expect(await settled(order)).toBe("CANCELLED");
    expect(order.cancelReason).toBe(CancelReason.PAYMENT_FAILED);
    expect((await refusal(pay(order))).reason).toBe("ORDER_CANCELLED");
  });
});

describe("an error in our request to Stripe", () => {
  it("is not a decline: the buyer is asked to come back, and an alarm is raised", async () => {
    const { buy, pay, lines, statuses } = await paymentsFixture();
    const order = await buy({ price: { currencyCode: "USD", units: 0n, nanos: 10_000_000 } });
    expect(await refusal(pay(order))).toMatchObject({
      code: Code.Unavailable,
      reason: "NOT_READY",
    });
    expect(lines).toContainEqual(
      expect.objectContaining({ alarm: true, orderId: order.id, code: "amount_too_small" }),
    );
    expect(await statuses(order)).toEqual(["FAILED"]);
  });

  it("hides a wrong API key from the caller", async () => {
    const { buy, stripeServer, start, lines } = await paymentsFixture();
    const order = await buy();
    const { client } = start(
      fastRetryStripe(stripeServer.base, { key: "sk_test_of_somebody_else" }),
    );
    const refused = await refusal(
      client.createPayment({ orderId: order.id, token: "tok_visa" }, await as("ann")),
    );
    expect(refused).toMatchObject({ code: Code.Unavailable, reason: "NOT_READY" });
    expect(JSON.stringify([lines, refused])).not.toMatch(/sk_test/);
    expect(lines).toContainEqual(expect.objectContaining({ alarm: true, orderId: order.id }));
  });
});

describe("an idempotent request", () => {
  it("returns the same payment five times in sequence", async () => {
    const { buy, pay, stripeState, settled } = await paymentsFixture();
    const order = await buy();
    const requestId = crypto.randomUUID();
    const ids = new Set<string | undefined>();
    for (let i = 0; i < 5; i += 1) {
      ids.add((await pay(order, "tok_visa", { requestId })).payment?.attemptId);
    }
    expect(ids.size).toBe(1);
    expect((await stripeState(order)).intents).toHaveLength(1);
    expect(await settled(order)).toBe("COMPLETED");
    const { payment } = await pay(order, "tok_visa", { requestId: requestId.toUpperCase() });
    expect(payment?.status).toBe(PaymentStatus.CAPTURED);
    expect((await stripeState(order)).intents).toHaveLength(1);
  });

  it("returns the same payment five times concurrently", async () => {
    const { buy, pay, stripeState, settled } = await paymentsFixture();
    for (let round = 0; round < 5; round += 1) {
      const order = await buy();
      const requestId = crypto.randomUUID();
      const calls = Array.from({ length: 5 }, () => pay(order, "tok_visa", { requestId }));
      const ids = (await Promise.all(calls)).map(({ payment }) => payment?.attemptId);
      expect(new Set(ids).size).toBe(1);
      expect((await stripeState(order)).intents).toHaveLength(1);
      expect(await settled(order)).toBe("COMPLETED");
    }
  });

  it("is refused if its id is reused with other parameters", async () => {
    const { buy, pay, stripeState } = await paymentsFixture();
    const order = await buy();
    const requestId = crypto.randomUUID();
    await pay(order, "tok_visa", { requestId });
    for (const [token, more] of [
      ["tok_mastercard", {}],
      ["tok_visa", { amount: usd(25n, 500_000_000) }],
    ] as const) {
      expect(await refusal(pay(order, token, { requestId, ...more }))).toMatchObject({
        code: Code.InvalidArgument,
        reason: "REQUEST_ID_REUSED",
      });
    }
    expect((await stripeState(order)).intents).toHaveLength(1);
  });

  it.each([
    ["tok_chargeDeclinedIncorrectCvc", "PAYMENT_METHOD_REFUSED"],
    ["tok_of_nobody", "PAYMENT_METHOD_REFUSED"],
    ["tok_chargeDeclined", "PAYMENT_DECLINED"],
  ])("repeats the same error for a refused card: %s", async (token, reason) => {
    const { buy, pay, stripeState, cancel, settled } = await paymentsFixture();
    const order = await buy();
    const requestId = crypto.randomUUID();
    const first = await refusal(pay(order, token, { requestId }));
    expect(first.reason).toBe(reason);
    for (let i = 0; i < 2; i += 1)
      expect(await refusal(pay(order, token, { requestId }))).toEqual(first);
    // This also holds after the order has ended or another card was tried.
    if (reason === "PAYMENT_DECLINED") expect(await settled(order)).toBe("CANCELLED");
    else {
      await refusal(pay(order, "tok_chargeDeclinedExpiredCard", {}));
      expect(await refusal(pay(order, token, { requestId }))).toEqual(first);
      await cancel(order, CancelReason.EXPIRED);
    }
    expect(await refusal(pay(order, token, { requestId }))).toEqual(first);
    const made = (await stripeState(order)).intents.filter(({ status }) => status !== "canceled");
    expect(made).toEqual([]);
  });

  it("repeats the same error if the order ended during the call to the bank", async () => {
    const { buy, pay, stripeServer, fault, cancel, attemptReaches, settled } =
      await paymentsFixture();
    const order = await buy();
    const requestId = crypto.randomUUID();
    await fault({ method: "POST", path: "/confirm", hold: true });
    const paying = refusal(pay(order, "tok_visa", { requestId }));
    await attemptReaches(order, "PENDING");
    await cancel(order, CancelReason.EXPIRED);
    await stripeServer.control("DELETE", "faults");
    const first = await paying;
    expect(first.reason).toBe("ORDER_EXPIRED");
    expect(await settled(order)).toBe("CANCELLED");
    expect(await refusal(pay(order, "tok_visa", { requestId }))).toEqual(first);
  });
});

describe("concurrent requests", () => {
  it("for one order: one pays, and the other fails because a payment is in progress", async () => {
    const { buy, pay, stripeState, settled, statuses } = await paymentsFixture();
    for (let round = 0; round < 10; round += 1) {
      const order = await buy();
      const calls = await Promise.allSettled(
        ["tok_visa", "tok_mastercard"].map((token) =>
          pay(order, token, { requestId: crypto.randomUUID() }),
        ),
      );
      const refused = calls.filter(({ status }) => status === "rejected");
      expect(refused).toHaveLength(1);
      const [lost] = refused as PromiseRejectedResult[];
      expect(await refusal(Promise.reject(lost?.reason))).toMatchObject({
        code: Code.FailedPrecondition,
        reason: "PAYMENT_IN_PROGRESS",
      });
      expect(await settled(order)).toBe("COMPLETED");
      expect(await statuses(order)).toEqual(["CAPTURED"]);
      expect((await stripeState(order)).intents).toHaveLength(1);
    }
  });

  it("for one order: one of thirty pays", async () => {
    const { buy, pay, stripeState, settled } = await paymentsFixture();
    const order = await buy();
    const calls = await Promise.allSettled(Array.from({ length: 30 }, () => pay(order)));
    expect(calls.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await settled(order)).toBe("COMPLETED");
    expect((await stripeState(order)).taken).toHaveLength(1);
  });

  it("on two instances, the first of which waits for the bank", async () => {
    const { buy, pay, stripeServer, fault, start, stripeState, settled, attemptReaches } =
      await paymentsFixture();
    const order = await buy();
    await fault({ path: "/confirm", hold: true });
    const first = pay(order);
    await attemptReaches(order, "PENDING");
    const other = start();
    const call = { orderId: order.id, token: "tok_mastercard" };
    const refused = await refusal(other.client.createPayment(call, await as("ann")));
    expect(refused).toMatchObject({ reason: "PAYMENT_IN_PROGRESS", retryAfterMs: 1000 });
    await stripeServer.control("DELETE", "faults");
    await first;
    expect(await settled(order)).toBe("COMPLETED");
    expect((await stripeState(order)).intents).toHaveLength(1);
  });
});
