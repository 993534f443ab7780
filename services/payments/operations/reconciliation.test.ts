import { describe, expect, it } from "vitest";
import { reconcile } from "./reconciliation.ts";
import { type Span } from "./movements.ts";
import { beginPayout, markPaid } from "../payouts/payout-state.ts";
import { payoutsFixture, type PayoutsFixture } from "../testing/payouts-fixture.ts";

const HOUR_MS = 3_600_000;

const around = (hours: number): Span => ({
  from: new Date(Date.now() - (hours + 12) * HOUR_MS),
  to: new Date(Date.now() - (hours - 12) * HOUR_MS),
});
const today = around(0);
const yesterday = around(24);

const differences = async (fixture: PayoutsFixture, span: Span = today) =>
  (await reconcile({ ...fixture.deps, stripe: fixture.stripe }, span)).map(
    ({ kind, id, currency, here, there }) => [kind, id, currency, here, there],
  );

/** A day on which each kind of movement has happened once. */
async function busyDay() {
  const fixture = await payoutsFixture();
  await fixture.onboardSeller();
  const sale = await fixture.sell({ eventDaysAgo: 2 });
  const partly = await fixture.sell({ eventDaysAgo: 2, currency: "JPY", price: 999 });
  await fixture.refund(partly, 99);
  await fixture.start().sweep();
  const won = await fixture.sell();
  await fixture.dispute(won, "won");
  await fixture.dispute(await fixture.sell({ currency: "KWD", price: 10_010 }), "lost");
  await fixture.setAccountStatus("restricted");
  await fixture.sell({ eventDaysAgo: 2 });
  await fixture.start().sweep(); // Refused.
  return { ...fixture, sale, partly, won };
}

/** Moves our postings of one payment back in time. */
async function moveBack({ payments }: PayoutsFixture, id: string, hours: number): Promise<void> {
  const payment = await payments.findById(id).orFail();
  for (const posting of payment.postings) {
    posting.time = new Date(posting.time.getTime() - hours * HOUR_MS);
  }
  await payment.save();
}

it("a day on which both sides match has no difference", async () => {
  const fixture = await busyDay();
  expect((await fixture.storedPayouts()).map(({ status }) => status)).toEqual([
    "PAID",
    "PAID",
    "FAILED",
  ]);
  expect(await differences(fixture)).toEqual([]);
  expect(await differences(fixture, yesterday)).toEqual([]);
});

describe("reconciliation reports", () => {
  it("a movement that is missing or different on one side", async () => {
    const fixture = await busyDay();
    const sale = await fixture.intentOf(fixture.sale);
    const partly = await fixture.intentOf(fixture.partly);
    const won = await fixture.intentOf(fixture.won);
    const changed = { $set: { "postings.0.lines.0.amount": 9_999 } };
    await fixture.payments.updateOne({ _id: fixture.sale }, changed);
    await fixture.payments.updateOne({ _id: fixture.won }, { $pop: { postings: 1 } });
    await fixture.payments.deleteOne({ _id: fixture.partly });
    await fixture.payouts.deleteOne({ _id: "sam:EUR:1" });
    const [dispute] = (await fixture.stripe.disputes.list({ payment_intent: won })).data;
    const [refund] = (await fixture.stripe.refunds.list({ payment_intent: partly })).data;
    expect((await differences(fixture)).sort()).toEqual(
      [
        ["dispute", dispute?.id, "EUR", [-10_000], [-10_000, 10_000]],
        ["payout", "sam:EUR:1", "EUR", [], [-9_500]],
        ["refund", refund?.id, "JPY", [], [-99]],
        ["sale", partly, "JPY", [], [999]],
        ["sale", sale, "EUR", [9_999], [10_000]],
      ].sort(),
    );
  });

  it("a movement that Stripe does not have", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    const id = await fixture.sell({ eventDaysAgo: 2 });
    await fixture.refund(id, 99);
    const intent = await fixture.intentOf(id);
    const [refund] = (await fixture.stripe.refunds.list({ payment_intent: intent })).data;
    const none = { $set: { "attempts.0.stripeId": "pi_none", "refunds.0.stripeId": "re_none" } };
    await fixture.payments.updateOne({ _id: id }, none);
    const beginning = { sellerId: "sam", currency: "EUR", amount: 500, before: 0, accountId: "a" };
    const payout = await beginPayout(fixture.payouts, beginning, new Date());
    if (payout) await markPaid(fixture.payouts, payout, "tr_none", new Date());
    expect((await differences(fixture)).sort()).toEqual(
      [
        ["payout", "sam:EUR:1", "EUR", [-500], []],
        ["refund", "re_none", "EUR", [-99], []],
        ["refund", refund?.id, "EUR", [], [-99]],
        ["sale", "pi_none", "EUR", [10_000], []],
        ["sale", intent, "EUR", [], [10_000]],
      ].sort(),
    );
  });

  it("money that was moved manually, including a second transfer of a payout", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    for (let i = 0; i < 3; i += 1)
      await fixture.sell({ eventDaysAgo: 2, sellerId: i ? "eve" : "sam" });
    await fixture.start().sweep();
    const { accountId: destination } = await fixture.account();
    const move = { amount: 9_500, currency: "eur", destination };
    await fixture.stripe.transfers.create({ ...move, transfer_group: "sam:EUR:1" });
    const { id } = await fixture.stripe.transfers.create({ ...move, amount: 100 });
    expect((await differences(fixture)).sort()).toEqual([
      ["payout", "sam:EUR:1", "EUR", [-9_500], [-9_500, -9_500]],
      ["payout", id, "EUR", [], [-100]],
    ]);
  });

  it("a refund that was made in the Dashboard and is unknown here", async () => {
    const fixture = await payoutsFixture();
    const made = { payment_intent: await fixture.intentOf(await fixture.sell()), amount: 1_000 };
    const { id } = await fixture.stripe.refunds.create(made);
    expect(await differences(fixture)).toEqual([["refund", id, "EUR", [], [-1_000]]]);
  });
});

it("no difference if the two sides record a movement on different days", async () => {
  const fixture = await busyDay();
  for (const id of [fixture.sale, fixture.partly, fixture.won]) await moveBack(fixture, id, 13);
  const payout = await fixture.payouts.findById("sam:EUR:1").orFail();
  for (const posting of payout.postings) posting.time = new Date(Date.now() - 13 * HOUR_MS);
  await payout.save();
  expect(await differences(fixture)).toEqual([]);
  expect(await differences(fixture, yesterday)).toEqual([]);
});
