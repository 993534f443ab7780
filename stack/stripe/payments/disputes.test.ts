import type Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { endpoint, errorOf, eventually, local, paid } from "../testing.ts";

describe("a dispute", () => {
  it("withdraws its amount, sends events, and is listed by its payment", async () => {
    const { webhook, events } = await endpoint();
    const { stripe, callTestApi } = await local({ webhook });
    const payment_intent = await paid(stripe);
    const { id } = (await callTestApi("POST", "disputes", { payment_intent })) as Stripe.Dispute;
    const dispute = await stripe.disputes.retrieve(id);
    expect(dispute).toMatchObject({
      amount: 1999,
      currency: "usd",
      payment_intent,
      status: "needs_response",
      balance_transactions: [{ type: "adjustment", amount: -1999, source: id }],
    });
    expect((await stripe.disputes.list({ payment_intent })).data).toMatchObject([{ id }]);
    expect((await stripe.disputes.list({ payment_intent: await paid(stripe) })).data).toEqual([]);
    const charge = await stripe.charges.retrieve(String(dispute.charge));
    expect(charge).toMatchObject({ disputed: true, refunded: false, amount_refunded: 0 });
    await eventually(() => {
      const told = events.filter(({ type }) => type.startsWith("charge.dispute"));
      expect(told.map(({ type }) => type).sort()).toEqual([
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
      ]);
      expect(told[0]?.data.object).toMatchObject({ id, payment_intent });
    });
  });

  it("prevents refunds until it is won, which reinstates its amount", async () => {
    const { stripe, callTestApi } = await local();
    const payment_intent = await paid(stripe);
    const { id } = (await callTestApi("POST", "disputes", { payment_intent })) as Stripe.Dispute;
    const refused = await errorOf(stripe.refunds.create({ payment_intent }));
    expect(refused).toMatchObject({ statusCode: 400, code: "charge_disputed" });
    await callTestApi("POST", `disputes/${id}`, { status: "won" });
    const { status, balance_transactions } = await stripe.disputes.retrieve(id);
    expect([status, balance_transactions.map(({ net }) => net)]).toEqual(["won", [-1999, 1999]]);
    expect((await stripe.refunds.create({ payment_intent })).amount).toBe(1999);
    const types = ["charge.dispute.closed", "charge.dispute.funds_reinstated"];
    expect((await stripe.events.list({ types })).data).toHaveLength(2);
  });

  it("withdraws its amount for good if it is lost, and is then closed", async () => {
    const { stripe, callTestApi } = await local();
    const payment_intent = await paid(stripe);
    const dispute = await callTestApi("POST", "disputes", { payment_intent, amount: 999 });
    const { id } = dispute as Stripe.Dispute;
    await callTestApi("POST", `disputes/${id}`, { status: "lost" });
    expect((await errorOf(stripe.refunds.create({ payment_intent }))).code).toBe("charge_disputed");
    await expect(callTestApi("POST", `disputes/${id}`, { status: "won" })).rejects.toThrow(
      "is lost",
    );
    const { available } = await stripe.balance.retrieve();
    expect(available).toMatchObject([{ amount: 1000, currency: "usd" }]);
  });

  it("cannot exceed the captured amount", async () => {
    const { stripe, callTestApi } = await local();
    const payment_intent = await paid(stripe);
    const more = callTestApi("POST", "disputes", { payment_intent, amount: 2000 });
    await expect(more).rejects.toThrow("cannot be disputed");
  });
});
