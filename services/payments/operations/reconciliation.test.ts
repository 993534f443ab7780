import { describe, expect, it } from "vitest";
import { compare, type Span } from "./reconciliation.ts";
import { beginPayout, notePaid } from "../payout.ts";
import { money, type Money } from "../testing/payouts-fixture.ts";

const HOUR_MS = 3_600_000;

const around = (hours: number): Span => ({
  from: new Date(Date.now() - (hours + 12) * HOUR_MS),
  to: new Date(Date.now() - (hours - 12) * HOUR_MS),
});
const today = around(0);
const yesterday = around(24);

const differences = async (all: Money, span: Span = today) =>
  (await compare({ ...all.deps, stripe: all.stripe }, span)).map(
    ({ kind, id, currency, here, there }) => [kind, id, currency, here, there],
  );

/** A day on which everything has happened once. */
async function busyDay() {
  const all = await money();
  await all.onboarded();
  const sale = await all.sell({ eventDaysAgo: 2 });
  const partly = await all.sell({ eventDaysAgo: 2, currency: "JPY", price: 999 });
  await all.refund(partly, 99);
  await all.start().sweep();
  const won = await all.sell();
  await all.dispute(won, "won");
  await all.dispute(await all.sell({ currency: "KWD", price: 10_010 }), "lost");
  await all.stand("restricted");
  await all.sell({ eventDaysAgo: 2 });
  await all.start().sweep(); // Refused.
  return { ...all, sale, partly, won };
}

/** Our postings of one payment happened so long before. */
async function moveBack({ payments }: Money, id: string, hours: number): Promise<void> {
  const payment = await payments.findById(id).orFail();
  for (const posting of payment.postings) {
    posting.time = new Date(posting.time.getTime() - hours * HOUR_MS);
  }
  await payment.save();
}

it("a day on which both sides say the same has no difference", async () => {
  const all = await busyDay();
  expect((await all.all()).map(({ status }) => status)).toEqual(["PAID", "PAID", "FAILED"]);
  expect(await differences(all)).toEqual([]);
  expect(await differences(all, yesterday)).toEqual([]);
});

describe("a difference is", () => {
  it("what one side has lost, or has otherwise", async () => {
    const all = await busyDay();
    const sale = await all.intentOf(all.sale);
    const partly = await all.intentOf(all.partly);
    const won = await all.intentOf(all.won);
    const changed = { $set: { "postings.0.lines.0.amount": 9_999 } };
    await all.payments.updateOne({ _id: all.sale }, changed);
    await all.payments.updateOne({ _id: all.won }, { $pop: { postings: 1 } });
    await all.payments.deleteOne({ _id: all.partly });
    await all.payouts.deleteOne({ _id: "sam:EUR:1" });
    const [dispute] = (await all.stripe.disputes.list({ payment_intent: won })).data;
    const [refund] = (await all.stripe.refunds.list({ payment_intent: partly })).data;
    expect((await differences(all)).sort()).toEqual(
      [
        ["dispute", dispute?.id, "EUR", [-10_000], [-10_000, 10_000]],
        ["payout", "sam:EUR:1", "EUR", [], [-9_500]],
        ["refund", refund?.id, "JPY", [], [-99]],
        ["sale", partly, "JPY", [], [999]],
        ["sale", sale, "EUR", [9_999], [10_000]],
      ].sort(),
    );
  });

  it("what Stripe does not know", async () => {
    const all = await money();
    await all.onboarded();
    const id = await all.sell({ eventDaysAgo: 2 });
    await all.refund(id, 99);
    const intent = await all.intentOf(id);
    const [refund] = (await all.stripe.refunds.list({ payment_intent: intent })).data;
    const none = { $set: { "attempts.0.stripeId": "pi_none", "refunds.0.stripeId": "re_none" } };
    await all.payments.updateOne({ _id: id }, none);
    const beginning = { sellerId: "sam", currency: "EUR", amount: 500, before: 0, accountId: "a" };
    const payout = await beginPayout(all.payouts, beginning, new Date());
    if (payout) await notePaid(all.payouts, payout, "tr_none", new Date());
    expect((await differences(all)).sort()).toEqual(
      [
        ["payout", "sam:EUR:1", "EUR", [-500], []],
        ["refund", "re_none", "EUR", [-99], []],
        ["refund", refund?.id, "EUR", [], [-99]],
        ["sale", "pi_none", "EUR", [10_000], []],
        ["sale", intent, "EUR", [], [10_000]],
      ].sort(),
    );
  });

  it("money that somebody has moved by hand, also where a payout was made a second time", async () => {
    const all = await money();
    await all.onboarded();
    for (let i = 0; i < 3; i += 1) await all.sell({ eventDaysAgo: 2, sellerId: i ? "eve" : "sam" });
    await all.start().sweep();
    const { accountId: destination } = await all.account();
    const move = { amount: 9_500, currency: "eur", destination };
    await all.stripe.transfers.create({ ...move, transfer_group: "sam:EUR:1" });
    const { id } = await all.stripe.transfers.create({ ...move, amount: 100 });
    expect((await differences(all)).sort()).toEqual([
      ["payout", "sam:EUR:1", "EUR", [-9_500], [-9_500, -9_500]],
      ["payout", id, "EUR", [], [-100]],
    ]);
  });

  it("a refund that was made on Stripe's own pages, and not heard of", async () => {
    const all = await money();
    const made = { payment_intent: await all.intentOf(await all.sell()), amount: 1_000 };
    const { id } = await all.stripe.refunds.create(made);
    expect(await differences(all)).toEqual([["refund", id, "EUR", [], [-1_000]]]);
  });
});

it("what the two sides have written down on two days is the same thing", async () => {
  const all = await busyDay();
  for (const id of [all.sale, all.partly, all.won]) await moveBack(all, id, 13);
  const payout = await all.payouts.findById("sam:EUR:1").orFail();
  for (const posting of payout.postings) posting.time = new Date(Date.now() - 13 * HOUR_MS);
  await payout.save();
  expect(await differences(all)).toEqual([]);
  expect(await differences(all, yesterday)).toEqual([]);
});
