import type Stripe from "stripe";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { errorOf, eventually, local, paid, intentParams } from "../testing.ts";

const WEEK = 7 * 24 * 60 * 60;

async function reserved(stripe: Stripe) {
  const params = { ...intentParams, payment_method: "pm_card_visa", confirm: true };
  const intent = await stripe.paymentIntents.create({ ...params, expand: ["latest_charge"] });
  return { id: intent.id, charge: intent.latest_charge as Stripe.Charge };
}

async function expectReleased(stripe: Stripe, id: string) {
  const intent = await stripe.paymentIntents.retrieve(id, { expand: ["latest_charge"] });
  expect(intent).toMatchObject({
    status: "canceled",
    cancellation_reason: "automatic",
    amount_capturable: 0,
    latest_charge: { captured: false, refunded: true },
  });
}

describe("an authorization that is not captured", () => {
  it("expires by itself after a week", async () => {
    const { stripe } = await local();
    const { id, charge } = await reserved(stripe);
    const until = charge.payment_method_details?.card?.capture_before ?? 0;
    expect(until - charge.created).toBeGreaterThanOrEqual(WEEK);
    const kept = await paid(stripe);
    vi.useFakeTimers({ toFake: ["Date"], now: until * 1000 - 2000 });
    onTestFinished(() => void vi.useRealTimers());
    const { id: later } = await reserved(stripe);
    expect((await stripe.paymentIntents.retrieve(id)).status).toBe("requires_capture");
    vi.setSystemTime(until * 1000);
    await eventually(() => expectReleased(stripe, id));
    expect((await stripe.paymentIntents.retrieve(later)).status).toBe("requires_capture");
    expect((await stripe.paymentIntents.retrieve(kept)).status).toBe("succeeded");
  });

  it("expires by the test API, sends an event, and can no longer be captured", async () => {
    const { stripe, callTestApi } = await local();
    const { id } = await reserved(stripe);
    await callTestApi("POST", "expire", { payment_intent: id });
    await expectReleased(stripe, id);
    const types = ["charge.expired", "payment_intent.canceled"];
    const { data } = await stripe.events.list({ types });
    expect(data.map(({ type }) => type)).toEqual(types.toReversed());
    const late = await errorOf(stripe.paymentIntents.capture(id));
    expect(late).toMatchObject({ payment_intent: { status: "canceled" } });
    await expect(callTestApi("POST", "expire", { payment_intent: id })).rejects.toThrow("canceled");
  });
});
