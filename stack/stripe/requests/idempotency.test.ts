import { describe, expect, it } from "vitest";
import { errorOf, eventually, local, intentParams } from "../testing.ts";

const idempotencyKey = "attempt-1";

describe("an idempotency key", () => {
  it("repeats the first response", async () => {
    const { stripe, records } = await local();
    const first = await stripe.paymentIntents.create(intentParams, { idempotencyKey });
    expect(first.lastResponse.headers["idempotent-replayed"]).toBeUndefined();
    const again = await stripe.paymentIntents.create(intentParams, { idempotencyKey });
    expect(again.id).toBe(first.id);
    expect(again.lastResponse.headers).toMatchObject({
      "idempotent-replayed": "true",
      "original-request": first.lastResponse.requestId,
    });
    expect((await records()).payment_intents).toHaveLength(1);
  });

  it("repeats a decline, and charges the card once", async () => {
    const { stripe, records } = await local();
    const params = {
      ...intentParams,
      payment_method: "pm_card_visa_chargeDeclined",
      confirm: true,
    };
    const first = await errorOf(stripe.paymentIntents.create(params, { idempotencyKey }));
    const again = await errorOf(stripe.paymentIntents.create(params, { idempotencyKey }));
    expect(again).toMatchObject({ statusCode: 402, code: "card_declined", charge: first.charge });
    expect((await records()).charges).toHaveLength(1);
  });

  it("cannot be reused with other parameters or another path", async () => {
    const { stripe } = await local();
    const { id } = await stripe.paymentIntents.create(intentParams, { idempotencyKey });
    const other = stripe.paymentIntents.create(
      { ...intentParams, amount: 2000 },
      { idempotencyKey },
    );
    const elsewhere = stripe.paymentIntents.cancel(id, {}, { idempotencyKey });
    for (const call of [other, elsewhere]) {
      expect(await errorOf(call)).toMatchObject({
        statusCode: 400,
        type: "StripeIdempotencyError",
      });
    }
    expect((await stripe.paymentIntents.retrieve(id)).status).toBe("requires_payment_method");
  });

  it("stays unused if the parameters are malformed", async () => {
    const { stripe } = await local();
    const wrong = { ...intentParams, amount: "ten" as unknown as number };
    await errorOf(stripe.paymentIntents.create(wrong, { idempotencyKey }));
    expect(await stripe.paymentIntents.create(intentParams, { idempotencyKey })).toMatchObject(
      intentParams,
    );
  });

  it("is locked while its request is in progress", async () => {
    const { stripe, callTestApi } = await local();
    await callTestApi("POST", "faults", { path: "/payment_intents", hold: true });
    const first = stripe.paymentIntents.create(intentParams, { idempotencyKey });
    await eventually(async () =>
      expect(await callTestApi("GET", "faults")).toMatchObject([{ met: 1 }]),
    );
    const second = await errorOf(stripe.paymentIntents.create(intentParams, { idempotencyKey }));
    expect(second).toMatchObject({
      statusCode: 409,
      code: "idempotency_key_in_use",
      rawType: "idempotency_error", // The SDK has a class of its own for status 400 only.
    });
    await callTestApi("DELETE", "faults");
    const third = await stripe.paymentIntents.create(intentParams, {
      idempotencyKey,
      maxNetworkRetries: 5,
    });
    expect(third.id).toBe((await first).id);
  });

  it("returns the stored response after a response was lost", async () => {
    const { stripe, callTestApi, records } = await local();
    // The SDK itself retries once with the same key after a broken connection.
    await callTestApi("POST", "faults", { drop: true, times: 2 });
    const lost = await errorOf(stripe.paymentIntents.create(intentParams, { idempotencyKey }));
    expect(lost.type).toBe("StripeConnectionError");
    const { lastResponse } = await stripe.paymentIntents.create(intentParams, { idempotencyKey });
    expect(lastResponse.headers["idempotent-replayed"]).toBe("true");
    expect((await records()).payment_intents).toHaveLength(1);
  });

  it("returns the stored response after a response came too late", async () => {
    const { stripe, callTestApi, records } = await local();
    await callTestApi("POST", "faults", { slow: 500 });
    const hasty = { idempotencyKey, timeout: 250 };
    const late = await errorOf(stripe.paymentIntents.create(intentParams, hasty));
    expect(late.type).toBe("StripeConnectionError");
    await eventually(async () => expect((await records()).payment_intents).toHaveLength(1));
    const { lastResponse } = await stripe.paymentIntents.create(intentParams, { idempotencyKey });
    expect(lastResponse.headers["idempotent-replayed"]).toBe("true");
  });

  it.each([
    ["nothing", false, 0],
    ["everything", true, 1],
  ])("repeats a server error, after which %s is done", async (_, late, intents) => {
    const { stripe, callTestApi, records } = await local();
    await callTestApi("POST", "faults", { fail: 500, late });
    for (let i = 0; i < 2; i++) {
      const error = await errorOf(stripe.paymentIntents.create(intentParams, { idempotencyKey }));
      expect(error).toMatchObject({ statusCode: 500, type: "StripeAPIError" });
    }
    expect((await records()).payment_intents).toHaveLength(intents);
  });

  it("stays unused if the request exceeds the rate limit", async () => {
    const { stripe, callTestApi } = await local();
    await callTestApi("POST", "faults", { fail: 429, slow: 1 });
    const error = await errorOf(stripe.paymentIntents.create(intentParams, { idempotencyKey }));
    expect(error).toMatchObject({ statusCode: 429, type: "StripeRateLimitError" });
    expect(await stripe.paymentIntents.create(intentParams, { idempotencyKey })).toMatchObject(
      intentParams,
    );
  });

  it("can be used for a new request after it was pruned", async () => {
    const { stripe, callTestApi } = await local();
    const first = await stripe.paymentIntents.create(intentParams, { idempotencyKey });
    await callTestApi("DELETE", "idempotency_keys");
    const second = await stripe.paymentIntents.create(intentParams, { idempotencyKey });
    expect(second.id).not.toBe(first.id);
  });
});
