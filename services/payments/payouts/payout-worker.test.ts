import type { DescMessage } from "@bufbuild/protobuf";
import {
  UserBannedSchema,
  UserDeletedSchema,
  UserUnbannedSchema,
} from "@ticketing/proto/auth/v1/user_events";
import { describe, expect, it } from "vitest";
import { update } from "#runtime/store/aggregate.ts";
import { earningsOf } from "../balances/earnings.ts";
import { noteDispute } from "../refunds/dispute.ts";
import { paymentEvents } from "../events.ts";
import { beginPayout, notePaid, noteRefused, type Payout } from "../payout.ts";
import type { PayoutAccounts } from "../stripe/payout-accounts.ts";
import { noteRefund, requestRefund } from "../refunds/refund.ts";
import { hastyStripe, type Fault } from "../testing/stripe-fixture.ts";
import { onboard } from "./seller.ts";
import { DAY_MS, money, type Money } from "../testing/payouts-fixture.ts";

const HOUR_MS = 3_600_000;

/** What is stored of the payouts, the oldest first. */
const stored = async ({ all }: Money): Promise<string[]> =>
  (await all()).map(({ _id, amount, status }) => `${_id} ${amount} ${status}`);

/** What Stripe has moved, the oldest first. */
async function moved({ books }: Money): Promise<string[]> {
  const { transfers } = await books();
  return transfers.map(({ transfer_group, amount }) => `${transfer_group} ${amount}`);
}

const alarms = ({ lines }: Money): unknown[] =>
  lines.filter(({ alarm }) => alarm).map(({ msg }) => msg);

/** A payout that was begun by a process that died right after. */
async function begun({ payouts, deps, account }: Money, amount: number): Promise<Payout> {
  const { accountId } = await account();
  const what = { sellerId: "sam", accountId, currency: "EUR", amount, before: 0 };
  const payout = await beginPayout(payouts, what, new Date(deps.now()));
  if (!payout) throw new Error("there was one before");
  return payout;
}

describe("what is available", () => {
  it("is paid out once, in each currency by itself", async () => {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 2 });
    await all.sell({ eventDaysAgo: 3, price: 2_000 });
    await all.sell({ eventDaysAgo: 2, price: 999, currency: "JPY" });
    await all.sell({ eventDaysAgo: 2, price: 10_010, currency: "KWD" }); // Only tens can be moved.
    await all.sell({ eventDaysAgo: -2 });
    await all.sell({ eventDaysAgo: 2, sellerId: "eve" });
    for (let i = 0; i < 3; i += 1) await all.start().sweep();
    expect((await stored(all)).sort()).toEqual([
      "sam:EUR:1 11400 PAID",
      "sam:JPY:1 949 PAID",
      "sam:KWD:1 9500 PAID",
    ]);
    expect((await moved(all)).sort()).toEqual([
      "sam:EUR:1 11400",
      "sam:JPY:1 949",
      "sam:KWD:1 9500",
    ]);
    const { transfers } = await all.books();
    const [payout] = await all.all();
    expect(transfers.map(({ id }) => id)).toContain(payout?.transferId);
    expect(transfers[0]).toMatchObject({ destination: (await all.account()).accountId });

    await all.sell({ eventDaysAgo: 2, price: 4_000 });
    await all.start().sweep();
    expect((await stored(all)).at(-1)).toBe("sam:EUR:2 3800 PAID");
  });

  it("waits until Stripe knows all that it must, and does not wait for a webhook", async () => {
    const all = await money();
    await all.onboarded();
    await all.stand("restricted");
    await all.deps.sellers.updateOne({}, { ready: false });
    await all.sell({ eventDaysAgo: 2 });
    await all.start().sweep();
    expect(await stored(all)).toEqual([]);
    await all.stand("active");
    all.clock.ahead = HOUR_MS;
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PAID"]);
  });

  it("is paid before anybody is asked about who is not ready, and only where money waits", async () => {
    const all = await money();
    const calls: string[] = [];
    const accounts: PayoutAccounts = {
      ...all.deps.accounts,
      isReady(accountId) {
        calls.push(`ask ${accountId}`);
        return all.deps.accounts.isReady(accountId);
      },
      transfer(transfer) {
        calls.push(`pay ${transfer.id}`);
        return all.deps.accounts.transfer(transfer);
      },
    };
    for (const seller of ["ann", "bob", "eve"]) await onboard(all.deps, seller); // And no further.
    await all.onboarded("sam");
    for (const sellerId of ["ann", "bob", "sam"]) await all.sell({ eventDaysAgo: 2, sellerId });
    await all.start(accounts).sweep();
    const asked = await Promise.all(["ann", "bob"].map((seller) => all.account(seller)));
    expect(calls[0]).toBe("pay sam:EUR:1");
    expect(calls.slice(1).sort()).toEqual(asked.map((each) => `ask ${each.accountId}`).sort());
  });

  it("asks about who is not ready from one instance, and ever more rarely", async () => {
    const all = await money();
    let asked = 0;
    const accounts: PayoutAccounts = {
      ...all.deps.accounts,
      async isReady() {
        asked += 1;
        return Promise.resolve(false);
      },
    };
    await onboard(all.deps, "sam");
    await all.sell({ eventDaysAgo: 2 });
    const sweeps = () => Promise.all(Array.from({ length: 4 }, () => all.start(accounts).sweep()));
    await sweeps();
    expect(asked).toBe(1);
    const everyHour = async (days: number): Promise<number> => {
      const before = asked;
      for (let hour = 0; hour < days * 24; hour += 1) {
        all.clock.ahead += HOUR_MS;
        await all.start(accounts).sweep();
      }
      return asked - before;
    };
    const first = await everyHour(1);
    await everyHour(3);
    expect(first).toBeGreaterThan(5);
    expect(await everyHour(1)).toBeLessThan(3);
  });

  it("is less than nothing after a refund of what was paid out, and that is carried", async () => {
    const all = await money();
    await all.onboarded();
    const sale = await all.sell({ eventDaysAgo: 2 });
    await all.start().sweep();
    await all.refund(sale, 10_000);
    await all.start().sweep();
    await all.sell({ eventDaysAgo: 2, price: 8_000 });
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PAID"]);
    await all.sell({ eventDaysAgo: 2, price: 8_000 });
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PAID", "sam:EUR:2 5700 PAID"]);
  });

  it("is paid out once by any number of instances", async () => {
    const all = await money();
    const names = ["ann", "bob", "eve", "sam"];
    for (const sellerId of names) {
      await all.onboarded(sellerId);
      await all.sell({ eventDaysAgo: 2, sellerId });
    }
    for (let round = 1; round <= 3; round += 1) {
      await Promise.all(Array.from({ length: 4 }, () => all.start().sweep()));
      const wanted = names.map((name) => `${name}:EUR:${round} 9500`);
      expect((await moved(all)).slice(-4).sort()).toEqual(wanted);
      expect(await all.payouts.countDocuments({ status: "PAID" })).toBe(4 * round);
      for (const sellerId of names) await all.sell({ eventDaysAgo: 2, sellerId });
    }
  });

  it("is found before the next payout is: one begun in between is not paid a second time", async () => {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 2 });
    await begun(all, 9_500);
    const { accountId } = await all.account();
    const late = { sellerId: "sam", accountId, currency: "EUR", amount: 9_500, before: 0 };
    expect(await beginPayout(all.payouts, late, new Date())).toBeUndefined();
  });
});

describe("a payout is made once, and in the end", () => {
  /** The SDK tries three times by itself, but for 429 once. */
  const faults: [string, Fault][] = [
    ["Stripe fails before the work", { fail: 500, times: 3 }],
    ["Stripe fails after the work", { fail: 503, late: true, times: 3 }],
    ["the answer is lost", { drop: true, times: 3 }],
    ["Stripe has too much to do", { fail: 429, times: 2 }],
    ["the first answer is lost", { drop: true }],
  ];
  it.each(faults)("where %s", async (_, fault) => {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 2 });
    await all.fault({ ...fault, method: "POST", path: "/v1/transfers" });
    for (let i = 0; i < 3; i += 1) await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PAID"]);
    expect(await moved(all)).toEqual(["sam:EUR:1 9500"]);
  });

  it("where Stripe is so slow that nobody waits for it", async () => {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 2 });
    const impatient = all.accountsBy(hastyStripe(all.base, { timeoutMs: 50 }));
    await all.fault({ method: "POST", path: "/v1/transfers", hold: true });
    await all.start(impatient).sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PENDING"]);
    await all.start().sweep(); // While the first try is still on its way.
    expect(await moved(all)).toEqual([]);
    await all.turn("DELETE", "faults");
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PAID"]);
    expect(await moved(all)).toEqual(["sam:EUR:1 9500"]);
  });

  it("where its process dies before Stripe hears of it", async () => {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 2 });
    await begun(all, 9_500);
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PAID"]);
    expect(await moved(all)).toEqual(["sam:EUR:1 9500"]);
  });

  it("where its process dies before it hears of the transfer, and nobody looks for days", async () => {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 2 });
    const dead: PayoutAccounts = {
      ...all.deps.accounts,
      async transfer(transfer) {
        await all.deps.accounts.transfer(transfer);
        throw new Error("the process has died");
      },
    };
    await all.start(dead).sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PENDING"]);
    await all.turn("DELETE", "idempotency_keys"); // As after a day.
    all.clock.ahead = 2 * DAY_MS;
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PAID"]);
    expect(await moved(all)).toEqual(["sam:EUR:1 9500"]);
    expect(alarms(all)).toEqual([
      "a payout has been on its way for more than a day; look at Stripe",
    ]);
  });

  it("where Stripe does not have the buyers' money at hand yet", async () => {
    const all = await money();
    await all.onboarded();
    const sale = await all.sell({ eventDaysAgo: 2 });
    await all.stripe.refunds.create({ payment_intent: await all.intentOf(sale) }); // Unheard of here.
    for (let i = 0; i < 2; i += 1) await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PENDING"]);
    await all.sell({ sellerId: "eve" });
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PAID"]);
    expect(alarms(all)).toEqual([]);
  });

  it("and waits for a person where Stripe has it with another amount", async () => {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 2 });
    const { _id: id } = await begun(all, 9_500);
    const { accountId } = await all.account();
    await all.deps.accounts.transfer({ id, faults: 0, amount: 100, currency: "EUR", accountId });
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PENDING"]);
    expect(await moved(all)).toEqual(["sam:EUR:1 100"]);
  });
});

describe("a payout that Stripe refuses", () => {
  it("has failed: the money is available again, and is paid once the account is ready", async () => {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 2 });
    await all.stand("restricted");
    for (let i = 0; i < 2; i += 1) await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 FAILED"]);
    expect(alarms(all)).toEqual(["a payout was refused; the money is available again"]);
    expect(await all.account()).toMatchObject({ ready: false });
    const [failed] = await all.all();
    expect(failed?.postings.map(({ lines }) => lines.map(({ amount }) => amount))).toEqual([
      [9_500, -9_500],
      [-9_500, 9_500],
    ]);
    await all.stand("active");
    all.clock.ahead = HOUR_MS;
    await all.start().sweep();
    expect((await stored(all)).at(-1)).toBe("sam:EUR:2 9500 PAID");
    expect(await moved(all)).toEqual(["sam:EUR:2 9500"]);
  });

  it("is not tried anew for a day where the account has not changed", async () => {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 2 });
    all.clock.ahead = 1_000;
    const payout = await begun(all, 9_500);
    await noteRefused(all.payouts, payout, "none", new Date(all.deps.now()));
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 FAILED"]);
    all.clock.ahead += DAY_MS;
    await all.start().sweep();
    expect((await stored(all)).at(-1)).toBe("sam:EUR:2 9500 PAID");
  });

  it("is paid all the same where another instance had more luck at the same moment", async () => {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 2 });
    const payout = await begun(all, 9_500);
    await noteRefused(all.payouts, payout, "none", new Date());
    for (let i = 0; i < 2; i += 1) await notePaid(all.payouts, payout, "tr_1", new Date());
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PAID"]);
    const [earnings] = await earningsOf(all.deps, "sam");
    expect(earnings).toMatchObject({ available: 0, paidOut: 9_500 });
  });
});

describe("a payout that is open decides anew before each try", () => {
  /** Two sellers; one has a payout that was begun by a process that died. */
  async function opened(): Promise<Money & { sale: string }> {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 2, sellerId: "eve", price: 50_000 }); // What is not sam's to have.
    const sale = await all.sell({ eventDaysAgo: 2 });
    await begun(all, 9_500);
    return { ...all, sale };
  }
  const ban = (all: Money, version: number, banned: boolean) =>
    paymentEvents(all.deps)
      .find(({ type }) => type === (banned ? UserBannedSchema : UserUnbannedSchema).typeName)
      ?.handle({ userId: "sam", version, banned });

  it("and is given up where its seller was banned, until the ban is lifted", async () => {
    const all = await opened();
    await ban(all, 2, true);
    for (let i = 0; i < 2; i += 1) await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 FAILED"]);
    expect(await moved(all)).toEqual([]);
    expect(alarms(all)).toEqual([]);
    await ban(all, 3, false);
    await all.start().sweep();
    expect(await moved(all)).toEqual(["sam:EUR:2 9500"]);
  });

  it("and is given up where its sale was given back whole, or disputed, or is going back", async () => {
    for (const what of ["refund", "dispute", "request"]) {
      const all = await opened();
      if (what === "refund") await all.refund(all.sale, 10_000);
      else if (what === "dispute") await all.dispute(all.sale);
      else
        await update(all.payments, all.sale, (payment) =>
          requestRefund(payment, { reason: "EVENT_CANCELLED" }),
        );
      for (let i = 0; i < 2; i += 1) await all.start().sweep();
      expect(await stored(all)).toEqual(["sam:EUR:1 9500 FAILED"]);
      expect(await moved(all)).toEqual([]);
    }
  });

  it("and becomes one of what is left, where a part was given back", async () => {
    const all = await opened();
    await all.refund(all.sale, 4_000);
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 FAILED", "sam:EUR:2 5700 PAID"]);
    expect(await moved(all)).toEqual(["sam:EUR:2 5700"]);
  });

  it("and is paid where Stripe has made it already: what the seller owes since is carried", async () => {
    const all = await opened();
    const [payout] = await all.all();
    const { accountId } = await all.account();
    const made = { id: payout?._id ?? "", faults: 0, amount: 9_500, currency: "EUR", accountId };
    await all.deps.accounts.transfer(made);
    await all.refund(all.sale, 10_000);
    await ban(all, 2, true);
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PAID"]);
    expect((await earningsOf(all.deps, "sam"))[0]).toMatchObject({ available: -9_500 });
  });

  it("and waits, where an earlier try may yet be made, until it no longer may", async () => {
    const all = await opened();
    const dead = { ...all.deps.accounts, transfer: () => Promise.reject(new Error("no answer")) };
    await all.start(dead).sweep();
    await all.refund(all.sale, 10_000);
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PENDING"]);
    all.clock.ahead = 10 * 60_000;
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 FAILED"]);
    expect(await moved(all)).toEqual([]);
  });
});

describe("what is not paid out", () => {
  it("is money on its way back, or of an order that was given back though the bank returned it", async () => {
    const all = await money();
    await all.onboarded();
    const going = await all.sell({ eventDaysAgo: 2 });
    await update(all.payments, going, (payment) =>
      requestRefund(payment, { reason: "EVENT_CANCELLED" }),
    );
    const returned = await all.sell({ eventDaysAgo: 2 });
    await update(all.payments, returned, (payment) => {
      payment.order.status = "CANCELLED";
      const said = {
        refundId: undefined,
        stripeId: "re_1",
        amount: 10_000,
        createTime: new Date(),
      };
      noteRefund(payment, { ...said, failed: false });
      return noteRefund(payment, { ...said, failed: true });
    });
    await all.start().sweep();
    expect(await stored(all)).toEqual([]);
    const [earned] = await earningsOf(all.deps, "sam");
    expect(earned).toMatchObject({ held: 19_000, available: 0 });
  });

  it("is what a banned seller has earned, until the ban is lifted; who has left is paid", async () => {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 2 });
    const handlers = new Map(paymentEvents(all.deps).map((each) => [each.type, each]));
    const hear = (schema: DescMessage, version: number, banned: boolean) =>
      handlers.get(schema.typeName)?.handle({ userId: "sam", version, banned });
    await hear(UserBannedSchema, 2, true);
    await all.start().sweep();
    expect(await stored(all)).toEqual([]);
    await hear(UserUnbannedSchema, 3, false);
    expect(handlers.has(UserDeletedSchema.typeName)).toBe(false);
    await all.start().sweep();
    expect(await stored(all)).toEqual(["sam:EUR:1 9500 PAID"]);
  });

  it("is what a bank takes of an order that had ended: it is taken from the next sale", async () => {
    const all = await money();
    await all.onboarded();
    const ended = await all.sell({ eventDaysAgo: 2 });
    await all.refund(ended, 10_000);
    await update(all.payments, ended, (payment) => {
      payment.order.status = "CANCELLED";
      return noteDispute(payment, { id: "dp_1", amount: 10_000, status: "lost" });
    });
    await all.sell({ eventDaysAgo: 2 });
    expect((await earningsOf(all.deps, "sam"))[0]).toMatchObject({ available: -500 });
    await all.start().sweep();
    expect(await stored(all)).toEqual([]);
  });
});
