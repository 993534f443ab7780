import { expect, it } from "vitest";
import type Stripe from "stripe";
import { errorOf, local, paid, intentParams } from "../testing.ts";

it("records every movement of the platform's balance, and nothing else", async () => {
  const { stripe, callTestApi } = await local();
  const payment_intent = await paid(stripe);
  const refund = await stripe.refunds.create({ payment_intent, amount: 999 });
  await callTestApi("POST", `refunds/${refund.id}`, { status: "failed" });
  const dispute = await callTestApi("POST", "disputes", { payment_intent });
  await callTestApi("POST", `disputes/${(dispute as Stripe.Dispute).id}`, { status: "won" });
  const { id: destination } = await stripe.accounts.create({
    type: "express",
    capabilities: { transfers: { requested: true } },
  });
  await callTestApi("POST", `accounts/${destination}`, { status: "active" });
  await stripe.transfers.create({ amount: 1899, currency: "usd", destination });
  // An authorized, declined or voided payment moves no money.
  const reserved = { ...intentParams, payment_method: "pm_card_visa", confirm: true };
  await stripe.paymentIntents.cancel((await stripe.paymentIntents.create(reserved)).id);
  await errorOf(
    stripe.paymentIntents.create({ ...reserved, payment_method: "pm_card_chargeDeclined" }),
  );

  const { data } = await stripe.balanceTransactions.list({ expand: ["data.source"] });
  const lines = data.map(({ type, reporting_category, amount, fee, net, source }) => [
    type,
    reporting_category,
    amount,
    fee === 0 && net === amount,
    (source as { object: string }).object,
  ]);
  expect(lines.toReversed()).toEqual([
    ["charge", "charge", 1999, true, "charge"],
    ["refund", "refund", -999, true, "refund"],
    ["refund_failure", "refund_failure", 999, true, "refund"],
    ["adjustment", "dispute", -1999, true, "dispute"],
    ["adjustment", "dispute_reversal", 1999, true, "dispute"],
    ["transfer", "transfer", -1899, true, "transfer"],
  ]);
  const { available } = await stripe.balance.retrieve();
  expect(available).toMatchObject([{ amount: 100, currency: "usd" }]);
});

it("links each object and its balance transaction in both directions", async () => {
  const { stripe } = await local();
  const intent = await stripe.paymentIntents.retrieve(await paid(stripe), {
    expand: ["latest_charge.balance_transaction"],
  });
  const charge = intent.latest_charge as Stripe.Charge;
  const booked = charge.balance_transaction as Stripe.BalanceTransaction;
  expect(booked).toMatchObject({ amount: 1999, source: charge.id });
  const { data } = await stripe.balanceTransactions.list({ source: charge.id });
  expect(data).toMatchObject([{ id: booked.id }]);
  expect(await stripe.balanceTransactions.retrieve(booked.id)).toMatchObject({ ...booked });
});

it("lists balance transactions in pages, by type and by time", async () => {
  const { stripe } = await local();
  const intents = [await paid(stripe), await paid(stripe), await paid(stripe)];
  for (const payment_intent of intents) await stripe.refunds.create({ payment_intent, amount: 1 });
  const ids: string[] = [];
  const [gte, lt] = [0, Math.floor(Date.now() / 1000) + 60];
  const params = { type: "refund", limit: 2, created: { gte, lt } };
  for await (const { id, type } of stripe.balanceTransactions.list(params)) {
    expect(type).toBe("refund");
    ids.push(id);
  }
  expect(new Set(ids).size).toBe(3);
  expect((await stripe.balanceTransactions.list({ created: { gte: lt } })).data).toEqual([]);
});
