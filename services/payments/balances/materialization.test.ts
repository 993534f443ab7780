import { describe, expect, it } from "vitest";
import { NONE, openBalance, withLease } from "./balance.ts";
import {
  addShare,
  count,
  countDue,
  finishCounting,
  markLeft,
  markUncounted,
  recount,
} from "./materialization.ts";
import { earningsInLedger, earningsOf } from "./earnings.ts";
import { DAY_MS, money, type Money } from "../testing/payouts-fixture.ts";

/** What the kept balances say is what the ledger says. */
async function agree(all: Money): Promise<void> {
  for (const seller of ["sam", "eve"])
    expect(await earningsOf(all.deps, seller)).toEqual(await earningsInLedger(all.deps, seller));
}

describe("a seller's balance", () => {
  it("is kept: a look at it reads nothing that has not changed", async () => {
    const all = await money();
    for (let i = 0; i < 3; i += 1) await all.sell({ eventDaysAgo: 2 });
    await all.sell({ eventDaysAgo: -2 });
    await agree(all);
    expect(
      await all.payments.countDocuments({ countTime: { $lte: new Date(all.deps.now()) } }),
    ).toBe(0);
    // Nobody may change a posting. Were they read again, this would be seen.
    await all.payments.updateMany({}, { $set: { postings: [] } });
    expect(await earningsOf(all.deps, "sam")).toMatchObject([{ held: 9_500, available: 28_500 }]);
    await recount(all.deps, "sam");
    expect(await earningsOf(all.deps, "sam")).toMatchObject([{ held: 0, available: 0 }]);
  });

  it("changes by itself when an event is over, and follows a change of the setting", async () => {
    const all = await money();
    await all.sell({ eventDaysAgo: -2 });
    await all.sell({ daysAgo: 10 });
    await agree(all);
    all.clock.ahead = 3 * DAY_MS + 1;
    expect(await earningsOf(all.deps, "sam")).toMatchObject([{ held: 9_500, available: 9_500 }]);
    await agree(all);
    const deps = { ...all.deps, holdDays: 1 };
    await markUncounted(deps);
    expect(await earningsOf(deps, "sam")).toMatchObject([{ held: 0, available: 19_000 }]);
  });

  it("is the ledger's sum, however many count at once", async () => {
    const all = await money();
    await all.onboarded();
    const sales: string[] = [];
    for (let i = 0; i < 6; i += 1) sales.push(await all.sell({ eventDaysAgo: i % 2 ? 2 : -2 }));
    const looks = () => Array.from({ length: 4 }, () => countDue(all.deps).catch(() => undefined));
    await Promise.all([...looks(), all.refund(sales[1] ?? "", 4_000), all.start().sweep()]);
    await Promise.all([...looks(), all.refund(sales[0] ?? "", 10_000)]);
    await agree(all);
  });

  it("takes a share once, wherever the process that counts dies", async () => {
    const all = await money();
    const id = await all.sell({ eventDaysAgo: 2 });
    const thing = {
      ...{ kind: "sale" as const, id, before: NONE },
      share: { ...NONE, available: 9_500 },
    };
    // Before the sale is told that it was counted.
    const balance = await openBalance(all.deps.balances, "sam", "EUR");
    expect(await addShare(all.deps, balance, thing)).toBeDefined();
    expect(await addShare(all.deps, balance, thing)).toBeUndefined(); // Somebody else, at that moment.
    await agree(all);
    // After that, and before the balance forgets of which it was.
    await all.refund(id, 4_000);
    const before = (await all.payments.findById(id).orFail().lean()).counted;
    const now = await openBalance(all.deps.balances, "sam", "EUR");
    const share = { ...NONE, available: 5_700 };
    const after = await addShare(all.deps, now, { ...thing, before: before ?? NONE, share });
    await all.payments.updateOne({ _id: id }, { $set: { counted: after?.pending?.counted } });
    await agree(all);
    // Late: one that slept meanwhile goes on.
    if (after) await finishCounting(all.deps, after);
    await count(all.deps, "sale", id);
    await agree(all);
  });

  it("begins with what was sold and paid before it was kept", async () => {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 2 });
    await all.start().sweep();
    await all.sell({ eventDaysAgo: -2 });
    const unkept = { $unset: { counted: 1, countTime: 1 } };
    await all.payments.updateMany({}, unkept);
    await all.payouts.updateMany({}, unkept);
    await all.deps.balances.deleteMany({});
    await markUncounted(all.deps);
    await agree(all);
    expect(await earningsOf(all.deps, "sam")).toMatchObject([{ held: 9_500, paidOut: 9_500 }]);
  });

  it("has what the version before takes and pays while this one is started already", async () => {
    const all = await money();
    await all.onboarded();
    await markUncounted(all.deps);
    await all.sell({ eventDaysAgo: 2 });
    await all.start().sweep();
    const unkept = { $unset: { counted: 1, countTime: 1 } };
    await all.payments.updateMany({}, unkept);
    await all.payouts.updateMany({}, unkept);
    await all.deps.balances.deleteMany({});
    await markLeft(all.deps);
    await agree(all);
    expect(await earningsOf(all.deps, "sam")).toMatchObject([{ paidOut: 9_500 }]);
  });

  it("is paid out of by one instance at a time, and not for ever by one that died", async () => {
    const { deps } = await money();
    const { _id: id } = await openBalance(deps.balances, "sam", "EUR");
    const done: string[] = [];
    const work = (name: string) => async (): Promise<void> => void done.push(name);
    await withLease(deps.balances, id, 0, async () => {
      await withLease(deps.balances, id, 299_999, work("too early"));
      await withLease(deps.balances, id, 300_000, work("after it was given up"));
    });
    await withLease(deps.balances, id, 0, work("afterwards"));
    expect(done).toEqual(["after it was given up", "afterwards"]);
  });
});
