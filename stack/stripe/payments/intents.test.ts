import type Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { errorOf, local, intentParams } from "../testing.ts";

const token = (name: string) => ({
  payment_method_data: { type: "card", card: { token: name } } as const,
});

describe("a payment intent", () => {
  it("is created without confirmation, authorized, and captured", async () => {
    const { stripe } = await local();
    const metadata = { orderId: "o1", attempt: "a1" };
    const params = {
      ...intentParams,
      metadata,
      description: "A ticket",
      receipt_email: "a@example.com",
    };
    const created = await stripe.paymentIntents.create(params);
    expect(created).toMatchObject({
      ...params,
      object: "payment_intent",
      status: "requires_payment_method",
      amount_capturable: 0,
      latest_charge: null,
    });
    expect(created.client_secret).toMatch(new RegExp(`^${created.id}_secret_`));

    const authorized = await stripe.paymentIntents.confirm(created.id, token("tok_visa"));
    expect(authorized).toMatchObject({
      status: "requires_capture",
      amount_capturable: 1999,
      amount_received: 0,
    });

    const captured = await stripe.paymentIntents.capture(created.id);
    expect(captured).toMatchObject({
      status: "succeeded",
      amount_capturable: 0,
      amount_received: 1999,
    });
    const charge = await stripe.charges.retrieve(String(captured.latest_charge));
    expect(charge).toMatchObject({ captured: true, amount_captured: 1999, metadata });
    expect(await stripe.paymentIntents.retrieve(created.id)).toMatchObject({ ...captured });
  });

  it("succeeds at once with automatic capture", async () => {
    const { stripe } = await local();
    const { capture_method: _, ...params } = intentParams;
    const paid = await stripe.paymentIntents.create({
      ...params,
      payment_method: "pm_card_mastercard",
      confirm: true,
      expand: ["latest_charge", "payment_method"],
    });
    expect(paid).toMatchObject({ status: "succeeded", amount_received: 1999 });
    expect(paid.latest_charge).toMatchObject({ object: "charge", captured: true });
    expect(paid.payment_method).toMatchObject({ card: { brand: "mastercard" } });
  });

  it("requires confirmation if it has a payment method", async () => {
    const { stripe } = await local();
    const { id, status } = await stripe.paymentIntents.create({
      ...intentParams,
      ...token("tok_amex"),
    });
    expect(status).toBe("requires_confirmation");
    expect((await stripe.paymentIntents.confirm(id)).status).toBe("requires_capture");
  });

  it("releases the amount that is not captured", async () => {
    const { stripe } = await local();
    const { id } = await authorized(stripe);
    const captured = await stripe.paymentIntents.capture(id, { amount_to_capture: 999 });
    expect(captured).toMatchObject({ amount_received: 999, amount_capturable: 0 });
  });

  it("releases its authorization when it is canceled", async () => {
    const { stripe } = await local();
    const { id, latest_charge } = await authorized(stripe);
    const cancelled = await stripe.paymentIntents.cancel(id, { cancellation_reason: "abandoned" });
    expect(cancelled).toMatchObject({
      status: "canceled",
      cancellation_reason: "abandoned",
      amount_capturable: 0,
    });
    const charge = await stripe.charges.retrieve(String(latest_charge));
    expect(charge).toMatchObject({ captured: false, refunded: true, amount_captured: 0 });
  });

  it("rejects a step that its status does not allow, and names the status", async () => {
    const { stripe } = await local();
    const { id: unpaid } = await stripe.paymentIntents.create(intentParams);
    const { id: paid } = await authorized(stripe);
    await stripe.paymentIntents.capture(paid);
    const { id: gone } = await authorized(stripe);
    await stripe.paymentIntents.cancel(gone);
    const errors = [
      [stripe.paymentIntents.capture(unpaid), "requires_payment_method"],
      [stripe.paymentIntents.confirm(unpaid), "requires_payment_method"],
      [stripe.paymentIntents.capture(paid), "succeeded"],
      [stripe.paymentIntents.cancel(paid), "succeeded"],
      [stripe.paymentIntents.confirm(paid), "succeeded"],
      [stripe.paymentIntents.capture(gone), "canceled"],
      [stripe.paymentIntents.cancel(gone), "canceled"],
    ] as const;
    for (const [call, status] of errors) {
      expect(await errorOf(call)).toMatchObject({
        statusCode: 400,
        code: "payment_intent_unexpected_state",
        payment_intent: { status },
      });
    }
  });

  it("cannot be captured above the authorized amount", async () => {
    const { stripe } = await local();
    const { id } = await authorized(stripe);
    const error = await errorOf(stripe.paymentIntents.capture(id, { amount_to_capture: 2000 }));
    expect(error).toMatchObject({ code: "amount_too_large", param: "amount_to_capture" });
  });

  it("is listed, newest first", async () => {
    const { stripe } = await local();
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.unshift((await stripe.paymentIntents.create(intentParams)).id);
    const seen: string[] = [];
    for await (const { id } of stripe.paymentIntents.list({ limit: 2 })) seen.push(id);
    expect(seen).toEqual(ids);
    const future = await stripe.paymentIntents.list({ created: { gt: Date.now() } });
    expect(future.data).toEqual([]);
  });
});

describe("a declined card", () => {
  it.each([
    ["tok_chargeDeclined", "card_declined", "generic_decline"],
    ["tok_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"],
    ["tok_chargeDeclinedFraudulent", "card_declined", "fraudulent"],
    ["tok_visa_chargeDeclinedLostCard", "card_declined", "lost_card"],
    ["tok_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"],
    ["tok_chargeDeclinedExpiredCard", "expired_card", undefined],
    ["tok_chargeDeclinedIncorrectCvc", "incorrect_cvc", undefined],
    ["tok_chargeDeclinedProcessingError", "processing_error", undefined],
  ])("%s fails with %s", async (name, code, decline_code) => {
    const { stripe } = await local();
    const { id } = await stripe.paymentIntents.create(intentParams);
    const error = await errorOf(stripe.paymentIntents.confirm(id, token(name)));
    expect(error).toMatchObject({ type: "StripeCardError", statusCode: 402, code });
    expect(error.decline_code || undefined).toBe(decline_code); // The SDK uses "" for none.
    const intent = await stripe.paymentIntents.retrieve(id);
    expect(intent).toMatchObject({
      status: "requires_payment_method",
      payment_method: null,
      last_payment_error: { type: "card_error", code, charge: intent.latest_charge },
    });
    const charge = await stripe.charges.retrieve(String(intent.latest_charge));
    expect(charge).toMatchObject({ status: "failed", paid: false, failure_code: code });
  });

  it("can be replaced by another card", async () => {
    const { stripe } = await local();
    const params = {
      ...intentParams,
      payment_method: "pm_card_visa_chargeDeclined",
      confirm: true,
    };
    const error = await errorOf(stripe.paymentIntents.create(params));
    const id = String(error.payment_intent?.id);
    const paid = await stripe.paymentIntents.confirm(id, { payment_method: "pm_card_visa" });
    expect(paid).toMatchObject({ status: "requires_capture", last_payment_error: null });
  });
});

function authorized(stripe: Stripe) {
  return stripe.paymentIntents.create({
    ...intentParams,
    payment_method: "pm_card_visa",
    confirm: true,
  });
}
