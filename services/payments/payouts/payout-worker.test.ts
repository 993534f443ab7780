import type { DescMessage } from "@bufbuild/protobuf";
import {
  UserBannedSchema,
  UserDeletedSchema,
  UserUnbannedSchema,
} from "@ticketing/proto/auth/v1/user_events";
import { describe, expect, it } from "vitest";
import { update } from "#runtime/store/aggregate.ts";
import { earningsOf } from "../balances/earnings.ts";
import { recordDispute } from "../refunds/dispute.ts";
import { paymentEvents } from "../events.ts";
import { beginPayout, markPaid, markRefused } from "./payout-state.ts";
import { type Payout } from "../payout.ts";
import type { PayoutAccounts } from "../stripe/payout-accounts.ts";
import { recordRefund, requestRefund } from "../refunds/refund.ts";
import { fastRetryStripe, type StripeFault } from "../testing/stripe-fixture.ts";
import { createOnboardingLink } from "./seller.ts";
import { DAY_MS, payoutsFixture, type PayoutsFixture } from "../testing/payouts-fixture.ts";

const HOUR_MS = 3_600_000;

/** The stored payouts, the oldest first. */
const stored = async ({ storedPayouts }: PayoutsFixture): Promise<string[]> =>
  (await storedPayouts()).map(({ _id, amount, status }) => `${_id} ${amount} ${status}`);

/** The transfers at Stripe, the oldest first. */
async function moved({ stripeObjects }: PayoutsFixture): Promise<string[]> {
  const { transfers } = await stripeObjects();
  return transfers.map(({ transfer_group, amount }) => `${transfer_group} ${amount}`);
}

const alarms = ({ lines }: PayoutsFixture): unknown[] =>
  lines.filter(({ alarm }) => alarm).map(({ msg }) => msg);

/** A payout whose process crashed right after it was stored. */
async function begun({ payouts, deps, account }: PayoutsFixture, amount: number): Promise<Payout> {
  const { accountId } = await account();
  const what = { sellerId: "sam", accountId, currency: "EUR", amount, before: 0 };
  const payout = await beginPayout(payouts, what, new Date(deps.now()));
  if (!payout) throw new Error("there was one before");
  return payout;
}

describe("an available balance", () => {
  it("is paid out once, in each currency separately", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.sell({ eventDaysAgo: 2 });
    await fixture.sell({ eventDaysAgo: 3, price: 2_000 });
    await fixture.sell({ eventDaysAgo: 2, price: 999, currency: "JPY" });
    // Stripe moves only multiples of ten.
    await fixture.sell({ eventDaysAgo: 2, price: 10_010, currency: "KWD" });
    await fixture.sell({ eventDaysAgo: -2 });
    await fixture.sell({ eventDaysAgo: 2, sellerId: "eve" });
    for (let i = 0; i < 3; i += 1) await fixture.start().sweep();
    expect((await stored(fixture)).sort()).toEqual([
      "sam:EUR:1 11400 PAID",
      "sam:JPY:1 949 PAID",
      "sam:KWD:1 9500 PAID",
    ]);
    expect((await moved(fixture)).sort()).toEqual([
      "sam:EUR:1 11400",
      "sam:JPY:1 949",
      "sam:KWD:1 9500",
    ]);
    const { transfers } = await fixture.stripeObjects();
    const [payout] = await fixture.storedPayouts();
    expect(transfers.map(({ id }) => id)).toContain(payout?.transferId);
    expect(transfers[0]).toMatchObject({ destination: (await fixture.account()).accountId });

    await fixture.sell({ eventDaysAgo: 2, price: 4_000 });
    await fixture.start().sweep();
    expect((await stored(fixture)).at(-1)).toBe("sam:EUR:2 3800 PAID");
  });

  it("waits until Stripe has verified the seller, and does not depend on a webhook", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.setAccountStatus("restricted");
    await fixture.deps.sellers.updateOne({}, { ready: false });
    await fixture.sell({ eventDaysAgo: 2 });
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual([]);
    await fixture.setAccountStatus("active");
    fixture.clock.ahead = HOUR_MS;
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PAID"]);
  });

  it("is paid out before other accounts are fetched, and only if they have a balance", async () => {
    const fixture = await payoutsFixture();
    const calls: string[] = [];
    const accounts: PayoutAccounts = {
      ...fixture.deps.accounts,
      isReady(accountId) {
        calls.push(`ask ${accountId}`);
        return fixture.deps.accounts.isReady(accountId);
      },
      createTransfer(transfer) {
        calls.push(`pay ${transfer.id}`);
        return fixture.deps.accounts.createTransfer(transfer);
      },
    };
    // The onboarding is not completed.
    for (const seller of ["ann", "bob", "eve"]) await createOnboardingLink(fixture.deps, seller);
    await fixture.onboardSeller("sam");
    for (const sellerId of ["ann", "bob", "sam"]) await fixture.sell({ eventDaysAgo: 2, sellerId });
    await fixture.start(accounts).sweep();
    const asked = await Promise.all(["ann", "bob"].map((seller) => fixture.account(seller)));
    expect(calls[0]).toBe("pay sam:EUR:1");
    expect(calls.slice(1).sort()).toEqual(asked.map((each) => `ask ${each.accountId}`).sort());
  });

  it("waits for an account that one instance fetches at growing intervals", async () => {
    const fixture = await payoutsFixture();
    let asked = 0;
    const accounts: PayoutAccounts = {
      ...fixture.deps.accounts,
      async isReady() {
        asked += 1;
        return Promise.resolve(false);
      },
    };
    await createOnboardingLink(fixture.deps, "sam");
    await fixture.sell({ eventDaysAgo: 2 });
    const sweeps = () =>
      Promise.all(Array.from({ length: 4 }, () => fixture.start(accounts).sweep()));
    await sweeps();
    expect(asked).toBe(1);
    const everyHour = async (days: number): Promise<number> => {
      const before = asked;
      for (let hour = 0; hour < days * 24; hour += 1) {
        fixture.clock.ahead += HOUR_MS;
        await fixture.start(accounts).sweep();
      }
      return asked - before;
    };
    const first = await everyHour(1);
    await everyHour(3);
    expect(first).toBeGreaterThan(5);
    expect(await everyHour(1)).toBeLessThan(3);
  });

  it("is negative after a refund of paid out money, and the debt is carried forward", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    const sale = await fixture.sell({ eventDaysAgo: 2 });
    await fixture.start().sweep();
    await fixture.refund(sale, 10_000);
    await fixture.start().sweep();
    await fixture.sell({ eventDaysAgo: 2, price: 8_000 });
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PAID"]);
    await fixture.sell({ eventDaysAgo: 2, price: 8_000 });
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PAID", "sam:EUR:2 5700 PAID"]);
  });

  it("is paid out once by any number of instances", async () => {
    const fixture = await payoutsFixture();
    const names = ["ann", "bob", "eve", "sam"];
    for (const sellerId of names) {
      await fixture.onboardSeller(sellerId);
      await fixture.sell({ eventDaysAgo: 2, sellerId });
    }
    for (let round = 1; round <= 3; round += 1) {
      await Promise.all(Array.from({ length: 4 }, () => fixture.start().sweep()));
      const wanted = names.map((name) => `${name}:EUR:${round} 9500`);
      expect((await moved(fixture)).slice(-4).sort()).toEqual(wanted);
      expect(await fixture.payouts.countDocuments({ status: "PAID" })).toBe(4 * round);
      for (const sellerId of names) await fixture.sell({ eventDaysAgo: 2, sellerId });
    }
  });

  it("is not paid out twice if another payout has begun since the amount was computed", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.sell({ eventDaysAgo: 2 });
    await begun(fixture, 9_500);
    const { accountId } = await fixture.account();
    const late = { sellerId: "sam", accountId, currency: "EUR", amount: 9_500, before: 0 };
    expect(await beginPayout(fixture.payouts, late, new Date())).toBeUndefined();
  });
});

describe("a payout is made exactly once", () => {
  /** The SDK makes three attempts by itself, but only one after a 429. */
  const faults: [string, StripeFault][] = [
    ["Stripe fails before the transfer", { fail: 500, times: 3 }],
    ["Stripe fails after the transfer", { fail: 503, late: true, times: 3 }],
    ["the answer is lost", { drop: true, times: 3 }],
    ["Stripe limits the rate", { fail: 429, times: 2 }],
    ["the first answer is lost", { drop: true }],
  ];
  it.each(faults)("if %s", async (_, fault) => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.sell({ eventDaysAgo: 2 });
    await fixture.fault({ ...fault, method: "POST", path: "/v1/transfers" });
    for (let i = 0; i < 3; i += 1) await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PAID"]);
    expect(await moved(fixture)).toEqual(["sam:EUR:1 9500"]);
  });

  it("if Stripe is so slow that requests time out", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.sell({ eventDaysAgo: 2 });
    const impatient = fixture.accountsBy(fastRetryStripe(fixture.base, { timeoutMs: 50 }));
    await fixture.fault({ method: "POST", path: "/v1/transfers", hold: true });
    await fixture.start(impatient).sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PENDING"]);
    await fixture.start().sweep(); // While the first request is still in progress.
    expect(await moved(fixture)).toEqual([]);
    await fixture.control("DELETE", "faults");
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PAID"]);
    expect(await moved(fixture)).toEqual(["sam:EUR:1 9500"]);
  });

  it("if its process crashes before the request to Stripe", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.sell({ eventDaysAgo: 2 });
    await begun(fixture, 9_500);
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PAID"]);
    expect(await moved(fixture)).toEqual(["sam:EUR:1 9500"]);
  });

  it("if its process crashes before Stripe answers, and no sweep runs for days", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.sell({ eventDaysAgo: 2 });
    const dead: PayoutAccounts = {
      ...fixture.deps.accounts,
      async createTransfer(transfer) {
        await fixture.deps.accounts.createTransfer(transfer);
        throw new Error("the process has died");
      },
    };
    await fixture.start(dead).sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PENDING"]);
    await fixture.control("DELETE", "idempotency_keys"); // As after a day.
    fixture.clock.ahead = 2 * DAY_MS;
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PAID"]);
    expect(await moved(fixture)).toEqual(["sam:EUR:1 9500"]);
    expect(alarms(fixture)).toEqual([
      "a payout has been pending for more than a day; check it in the Stripe Dashboard",
    ]);
  });

  it("if the buyers' money is not available at Stripe yet", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    const sale = await fixture.sell({ eventDaysAgo: 2 });
    // Unknown to payments.
    await fixture.stripe.refunds.create({ payment_intent: await fixture.intentOf(sale) });
    for (let i = 0; i < 2; i += 1) await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PENDING"]);
    await fixture.sell({ sellerId: "eve" });
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PAID"]);
    expect(alarms(fixture)).toEqual([]);
  });

  it("unless Stripe has it with another amount, which an operator must check", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.sell({ eventDaysAgo: 2 });
    const { _id: id } = await begun(fixture, 9_500);
    const { accountId } = await fixture.account();
    await fixture.deps.accounts.createTransfer({
      id,
      faults: 0,
      amount: 100,
      currency: "EUR",
      accountId,
    });
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PENDING"]);
    expect(await moved(fixture)).toEqual(["sam:EUR:1 100"]);
  });
});

describe("a payout that Stripe refuses", () => {
  it("fails: the money is available again, and is paid out once the account is ready", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.sell({ eventDaysAgo: 2 });
    await fixture.setAccountStatus("restricted");
    for (let i = 0; i < 2; i += 1) await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 FAILED"]);
    expect(alarms(fixture)).toEqual([
      "Stripe refuses a payout; the money is back in the balance, so check the seller's account",
    ]);
    expect(await fixture.account()).toMatchObject({ ready: false });
    const [failed] = await fixture.storedPayouts();
    expect(failed?.postings.map(({ lines }) => lines.map(({ amount }) => amount))).toEqual([
      [9_500, -9_500],
      [-9_500, 9_500],
    ]);
    await fixture.setAccountStatus("active");
    fixture.clock.ahead = HOUR_MS;
    await fixture.start().sweep();
    expect((await stored(fixture)).at(-1)).toBe("sam:EUR:2 9500 PAID");
    expect(await moved(fixture)).toEqual(["sam:EUR:2 9500"]);
  });

  it("is not retried for a day if the account has not changed", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.sell({ eventDaysAgo: 2 });
    fixture.clock.ahead = 1_000;
    const payout = await begun(fixture, 9_500);
    await markRefused(fixture.payouts, payout, "none", new Date(fixture.deps.now()));
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 FAILED"]);
    fixture.clock.ahead += DAY_MS;
    await fixture.start().sweep();
    expect((await stored(fixture)).at(-1)).toBe("sam:EUR:2 9500 PAID");
  });

  it("is paid if another instance succeeded at the same moment", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.sell({ eventDaysAgo: 2 });
    const payout = await begun(fixture, 9_500);
    await markRefused(fixture.payouts, payout, "none", new Date());
    for (let i = 0; i < 2; i += 1) await markPaid(fixture.payouts, payout, "tr_1", new Date());
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PAID"]);
    const [earnings] = await earningsOf(fixture.deps, "sam");
    expect(earnings).toMatchObject({ available: 0, paidOut: 9_500 });
  });
});

describe("a pending payout is checked again before each attempt", () => {
  /** Two sellers; one has a payout whose process crashed. */
  async function opened(): Promise<PayoutsFixture & { sale: string }> {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    // Money that does not belong to sam.
    await fixture.sell({ eventDaysAgo: 2, sellerId: "eve", price: 50_000 });
    const sale = await fixture.sell({ eventDaysAgo: 2 });
    await begun(fixture, 9_500);
    return { ...fixture, sale };
  }
  const ban = (fixture: PayoutsFixture, version: number, banned: boolean) =>
    paymentEvents(fixture.deps)
      .find(({ type }) => type === (banned ? UserBannedSchema : UserUnbannedSchema).typeName)
      ?.handle({ userId: "sam", version, banned });

  it("and is canceled if its seller is banned, until the ban is lifted", async () => {
    const fixture = await opened();
    await ban(fixture, 2, true);
    for (let i = 0; i < 2; i += 1) await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 FAILED"]);
    expect(await moved(fixture)).toEqual([]);
    expect(alarms(fixture)).toEqual([]);
    await ban(fixture, 3, false);
    await fixture.start().sweep();
    expect(await moved(fixture)).toEqual(["sam:EUR:2 9500"]);
  });

  it("and is canceled if its sale is fully refunded, disputed or being refunded", async () => {
    for (const what of ["refund", "dispute", "request"]) {
      const fixture = await opened();
      if (what === "refund") await fixture.refund(fixture.sale, 10_000);
      else if (what === "dispute") await fixture.dispute(fixture.sale);
      else
        await update(fixture.payments, fixture.sale, (payment) =>
          requestRefund(payment, { reason: "EVENT_CANCELLED" }),
        );
      for (let i = 0; i < 2; i += 1) await fixture.start().sweep();
      expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 FAILED"]);
      expect(await moved(fixture)).toEqual([]);
    }
  });

  it("and is replaced by one of the remaining amount after a partial refund", async () => {
    const fixture = await opened();
    await fixture.refund(fixture.sale, 4_000);
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 FAILED", "sam:EUR:2 5700 PAID"]);
    expect(await moved(fixture)).toEqual(["sam:EUR:2 5700"]);
  });

  it("and is recorded as paid if Stripe has made it, while later debt is carried forward", async () => {
    const fixture = await opened();
    const [payout] = await fixture.storedPayouts();
    const { accountId } = await fixture.account();
    const made = { id: payout?._id ?? "", faults: 0, amount: 9_500, currency: "EUR", accountId };
    await fixture.deps.accounts.createTransfer(made);
    await fixture.refund(fixture.sale, 10_000);
    await ban(fixture, 2, true);
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PAID"]);
    expect((await earningsOf(fixture.deps, "sam"))[0]).toMatchObject({ available: -9_500 });
  });

  it("and waits while an earlier request may still succeed", async () => {
    const fixture = await opened();
    const dead = {
      ...fixture.deps.accounts,
      createTransfer: () => Promise.reject(new Error("no answer")),
    };
    await fixture.start(dead).sweep();
    await fixture.refund(fixture.sale, 10_000);
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PENDING"]);
    fixture.clock.ahead = 10 * 60_000;
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 FAILED"]);
    expect(await moved(fixture)).toEqual([]);
  });
});

describe("a payout excludes", () => {
  it("money that is being refunded, and money of a refunded order although the bank returned it", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    const going = await fixture.sell({ eventDaysAgo: 2 });
    await update(fixture.payments, going, (payment) =>
      requestRefund(payment, { reason: "EVENT_CANCELLED" }),
    );
    const returned = await fixture.sell({ eventDaysAgo: 2 });
    await update(fixture.payments, returned, (payment) => {
      payment.order.status = "CANCELLED";
      const said = {
        refundId: undefined,
        stripeId: "re_1",
        amount: 10_000,
        createTime: new Date(),
      };
      recordRefund(payment, { ...said, failed: false });
      return recordRefund(payment, { ...said, failed: true });
    });
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual([]);
    const [earned] = await earningsOf(fixture.deps, "sam");
    expect(earned).toMatchObject({ held: 19_000, available: 0 });
  });

  it("the earnings of a banned seller until the ban is lifted, but not those of a deleted account", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.sell({ eventDaysAgo: 2 });
    const handlers = new Map(paymentEvents(fixture.deps).map((each) => [each.type, each]));
    const hear = (schema: DescMessage, version: number, banned: boolean) =>
      handlers.get(schema.typeName)?.handle({ userId: "sam", version, banned });
    await hear(UserBannedSchema, 2, true);
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual([]);
    await hear(UserUnbannedSchema, 3, false);
    expect(handlers.has(UserDeletedSchema.typeName)).toBe(false);
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual(["sam:EUR:1 9500 PAID"]);
  });

  it("money that a bank takes after the order has ended, which is deducted from the next sale", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    const ended = await fixture.sell({ eventDaysAgo: 2 });
    await fixture.refund(ended, 10_000);
    await update(fixture.payments, ended, (payment) => {
      payment.order.status = "CANCELLED";
      return recordDispute(payment, { id: "dp_1", amount: 10_000, status: "lost" });
    });
    await fixture.sell({ eventDaysAgo: 2 });
    expect((await earningsOf(fixture.deps, "sam"))[0]).toMatchObject({ available: -500 });
    await fixture.start().sweep();
    expect(await stored(fixture)).toEqual([]);
  });
});
