import { describe, expect, it } from "vitest";
import { NO_CONTRIBUTION } from "../ledger.ts";
import { openBalance, withLease } from "./balance.ts";
import { applyContribution, materialize, completePending } from "./materialization.ts";
import {
  materializeDue,
  markRecentlyMissed,
  markUnmaterialized,
  rebuildBalances,
} from "./balance-refresh.ts";
import { earningsInLedger } from "./ledger-earnings.ts";
import { earningsOf } from "./earnings.ts";
import { DAY_MS, payoutsFixture, type PayoutsFixture } from "../testing/payouts-fixture.ts";

/** What the kept balances say is what the ledger says. */
async function agree(fixture: PayoutsFixture): Promise<void> {
  for (const seller of ["sam", "eve"])
    expect(await earningsOf(fixture.deps, seller)).toEqual(
      await earningsInLedger(fixture.deps, seller),
    );
}

describe("a seller's balance", () => {
  it("is kept: a look at it reads nothing that has not changed", async () => {
    const fixture = await payoutsFixture();
    for (let i = 0; i < 3; i += 1) await fixture.sell({ eventDaysAgo: 2 });
    await fixture.sell({ eventDaysAgo: -2 });
    await agree(fixture);
    expect(
      await fixture.payments.countDocuments({ countTime: { $lte: new Date(fixture.deps.now()) } }),
    ).toBe(0);
    // Nobody may change a posting. Were they read again, this would be seen.
    await fixture.payments.updateMany({}, { $set: { postings: [] } });
    expect(await earningsOf(fixture.deps, "sam")).toMatchObject([
      { held: 9_500, available: 28_500 },
    ]);
    await rebuildBalances(fixture.deps, "sam");
    expect(await earningsOf(fixture.deps, "sam")).toMatchObject([{ held: 0, available: 0 }]);
  });

  it("changes by itself when an event is over, and follows a change of the setting", async () => {
    const fixture = await payoutsFixture();
    await fixture.sell({ eventDaysAgo: -2 });
    await fixture.sell({ daysAgo: 10 });
    await agree(fixture);
    fixture.clock.ahead = 3 * DAY_MS + 1;
    expect(await earningsOf(fixture.deps, "sam")).toMatchObject([
      { held: 9_500, available: 9_500 },
    ]);
    await agree(fixture);
    const deps = { ...fixture.deps, holdDays: 1 };
    await markUnmaterialized(deps);
    expect(await earningsOf(deps, "sam")).toMatchObject([{ held: 0, available: 19_000 }]);
  });

  it("is the ledger's sum, however many count at once", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    const sales: string[] = [];
    for (let i = 0; i < 6; i += 1) sales.push(await fixture.sell({ eventDaysAgo: i % 2 ? 2 : -2 }));
    const looks = () =>
      Array.from({ length: 4 }, () => materializeDue(fixture.deps).catch(() => undefined));
    await Promise.all([...looks(), fixture.refund(sales[1] ?? "", 4_000), fixture.start().sweep()]);
    await Promise.all([...looks(), fixture.refund(sales[0] ?? "", 10_000)]);
    await agree(fixture);
  });

  it("takes a share once, wherever the process that counts dies", async () => {
    const fixture = await payoutsFixture();
    const id = await fixture.sell({ eventDaysAgo: 2 });
    const thing = {
      ...{ kind: "sale" as const, id, before: NO_CONTRIBUTION },
      share: { ...NO_CONTRIBUTION, available: 9_500 },
    };
    // Before the sale is told that it was counted.
    const balance = await openBalance(fixture.deps.balances, "sam", "EUR");
    expect(await applyContribution(fixture.deps, balance, thing)).toBeDefined();
    expect(await applyContribution(fixture.deps, balance, thing)).toBeUndefined(); // Somebody else, at that moment.
    await agree(fixture);
    // After that, and before the balance forgets of which it was.
    await fixture.refund(id, 4_000);
    const before = (await fixture.payments.findById(id).orFail().lean()).counted;
    const now = await openBalance(fixture.deps.balances, "sam", "EUR");
    const share = { ...NO_CONTRIBUTION, available: 5_700 };
    const after = await applyContribution(fixture.deps, now, {
      ...thing,
      before: before ?? NO_CONTRIBUTION,
      share,
    });
    await fixture.payments.updateOne({ _id: id }, { $set: { counted: after?.pending?.counted } });
    await agree(fixture);
    // Late: one that slept meanwhile goes on.
    if (after) await completePending(fixture.deps, after);
    await materialize(fixture.deps, "sale", id);
    await agree(fixture);
  });

  it("begins with what was sold and paid before it was kept", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.sell({ eventDaysAgo: 2 });
    await fixture.start().sweep();
    await fixture.sell({ eventDaysAgo: -2 });
    const unkept = { $unset: { counted: 1, countTime: 1 } };
    await fixture.payments.updateMany({}, unkept);
    await fixture.payouts.updateMany({}, unkept);
    await fixture.deps.balances.deleteMany({});
    await markUnmaterialized(fixture.deps);
    await agree(fixture);
    expect(await earningsOf(fixture.deps, "sam")).toMatchObject([{ held: 9_500, paidOut: 9_500 }]);
  });

  it("has what the version before takes and pays while this one is started already", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await markUnmaterialized(fixture.deps);
    await fixture.sell({ eventDaysAgo: 2 });
    await fixture.start().sweep();
    const unkept = { $unset: { counted: 1, countTime: 1 } };
    await fixture.payments.updateMany({}, unkept);
    await fixture.payouts.updateMany({}, unkept);
    await fixture.deps.balances.deleteMany({});
    await markRecentlyMissed(fixture.deps);
    await agree(fixture);
    expect(await earningsOf(fixture.deps, "sam")).toMatchObject([{ paidOut: 9_500 }]);
  });

  it("is paid out of by one instance at a time, and not for ever by one that died", async () => {
    const { deps } = await payoutsFixture();
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
