import type Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { errorOf, local, wish } from "./testing.ts";

describe("a refund", () => {
  it("gives back all that was captured unless told less", async () => {
    const { stripe } = await local();
    const payment_intent = await paid(stripe);
    const reason = "requested_by_customer";
    const first = await stripe.refunds.create({ payment_intent, amount: 999, reason });
    expect(first).toMatchObject({ amount: 999, status: "succeeded", reason, payment_intent });
    const second = await stripe.refunds.create({ payment_intent });
    expect(second.amount).toBe(1000);
    const charge = await stripe.charges.retrieve(String(second.charge));
    expect(charge).toMatchObject({ amount_refunded: 1999, refunded: true });
    const { data } = await stripe.refunds.list({ payment_intent });
    expect(data.map(({ id }) => id)).toEqual([second.id, first.id]);
    expect(await stripe.refunds.retrieve(first.id)).toMatchObject({ ...data[1] });
  });

  it("never gives back more than is left", async () => {
    const { stripe } = await local();
    const payment_intent = await paid(stripe);
    const tooMuch = await errorOf(stripe.refunds.create({ payment_intent, amount: 2000 }));
    expect(tooMuch.message).toContain("greater than unrefunded amount on charge ($19.99)");
    await stripe.refunds.create({ payment_intent });
    const again = await errorOf(stripe.refunds.create({ payment_intent }));
    expect(again.code).toBe("charge_already_refunded");
  });

  it("needs money that was taken", async () => {
    const { stripe } = await local();
    const params = { ...wish, payment_method: "pm_card_visa", confirm: true };
    const { id: payment_intent } = await stripe.paymentIntents.create(params);
    const error = await errorOf(stripe.refunds.create({ payment_intent }));
    expect(error.message).toContain("does not have a successful charge to refund");
  });

  it("needs to know of what", async () => {
    const { stripe } = await local();
    expect((await errorOf(stripe.refunds.create({}))).code).toBe("parameter_missing");
  });
});

async function paid(stripe: Stripe): Promise<string> {
  const params = { ...wish, payment_method: "pm_card_visa", confirm: true };
  const { id } = await stripe.paymentIntents.create(params);
  return (await stripe.paymentIntents.capture(id)).id;
}
