import { describe, expect, it } from "vitest";
import { errorOf, local, paid, intentParams } from "../testing.ts";

describe("a refund", () => {
  it("refunds the remaining amount by default", async () => {
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

  it("cannot exceed the remaining amount", async () => {
    const { stripe } = await local();
    const payment_intent = await paid(stripe);
    const tooMuch = await errorOf(stripe.refunds.create({ payment_intent, amount: 2000 }));
    expect(tooMuch).toMatchObject({ statusCode: 400, param: "amount" });
    expect(tooMuch.message).toContain("greater than unrefunded amount on charge ($19.99)");
    await stripe.refunds.create({ payment_intent });
    const again = await errorOf(stripe.refunds.create({ payment_intent }));
    expect(again.code).toBe("charge_already_refunded");
  });

  it("requires a captured payment", async () => {
    const { stripe } = await local();
    const params = { ...intentParams, payment_method: "pm_card_visa", confirm: true };
    const { id: payment_intent } = await stripe.paymentIntents.create(params);
    const error = await errorOf(stripe.refunds.create({ payment_intent }));
    expect(error.message).toContain("does not have a successful charge to refund");
  });

  it("requires a charge or a PaymentIntent", async () => {
    const { stripe } = await local();
    expect((await errorOf(stripe.refunds.create({}))).code).toBe("parameter_missing");
  });

  it("has metadata, and an event reports each change of it", async () => {
    const { stripe } = await local();
    const payment_intent = await paid(stripe);
    const metadata = { refund_id: "r1", by: "seller" };
    const { id } = await stripe.refunds.create({ payment_intent, metadata });
    const changed = await stripe.refunds.update(id, { metadata: { by: "admin" } });
    expect(changed.metadata).toEqual({ refund_id: "r1", by: "admin" });
    const [told] = (await stripe.events.list({ type: "refund.updated" })).data;
    expect(told?.data.object).toMatchObject({ id, metadata: changed.metadata });
  });

  it("accepts a charge, but not together with a PaymentIntent", async () => {
    const { stripe } = await local();
    const payment_intent = await paid(stripe);
    const { latest_charge } = await stripe.paymentIntents.retrieve(payment_intent);
    const charge = String(latest_charge);
    const both = await errorOf(stripe.refunds.create({ charge, payment_intent }));
    expect(both.code).toBe("parameters_exclusive");
    const { id } = await stripe.refunds.create({ charge, amount: 1 });
    expect((await stripe.refunds.list({ charge })).data).toMatchObject([{ id, payment_intent }]);
    expect((await stripe.refunds.list({ charge: "ch_none" })).data).toEqual([]);
  });

  it("can fail later, and its amount can then be refunded again", async () => {
    const { stripe, callTestApi } = await local();
    const payment_intent = await paid(stripe);
    const { id, charge } = await stripe.refunds.create({ payment_intent, amount: 999 });
    await callTestApi("POST", `refunds/${id}`, { status: "failed" });
    expect(await stripe.refunds.retrieve(id)).toMatchObject({
      status: "failed",
      failure_balance_transaction: expect.stringMatching(/^txn_/),
    });
    expect(await stripe.charges.retrieve(String(charge))).toMatchObject({ amount_refunded: 0 });
    const types = ["refund.updated", "refund.failed"];
    const { data } = await stripe.events.list({ types });
    expect(data.map(({ type }) => type)).toEqual(types.toReversed());
    await expect(callTestApi("POST", `refunds/${id}`, { status: "failed" })).rejects.toThrow(
      "is failed",
    );
    expect((await stripe.refunds.create({ payment_intent })).amount).toBe(1999);
  });

  it("is pending until a slow bank accepts it", async () => {
    const { stripe, callTestApi } = await local();
    const payment_intent = await paid(stripe, "pm_card_pendingRefund");
    const { id, status } = await stripe.refunds.create({ payment_intent });
    expect(status).toBe("pending");
    await callTestApi("POST", `refunds/${id}`, { status: "succeeded" });
    expect((await stripe.refunds.retrieve(id)).status).toBe("succeeded");
  });
});
