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

/** The materialized balances are equal to the ledger. */
async function agree(fixture: PayoutsFixture): Promise<void> {
  for (const seller of ["sam", "eve"])
    expect(await earningsOf(fixture.deps, seller)).toEqual(
      await earningsInLedger(fixture.deps, seller),
    );
}

describe("a seller's balance", () => {
  it("is materialized: reading it does not read unchanged postings again", async () => {
    const fixture = await payoutsFixture();
    for (let i = 0; i < 3; i += 1) await fixture.sell({ eventDaysAgo: 2 });
    await fixture.sell({ eventDaysAgo: -2 });
    await agree(fixture);
    expect(
      await fixture.payments.countDocuments({ countTime: { $lte: new Date(fixture.deps.now()) } }),
    ).toBe(0);
    // Postings never change. If they were read again, this change would show.
    await fixture.payments.updateMany({}, { $set: { postings: [] } });
    expect(await earningsOf(fixture.deps, "sam")).toMatchObject([
      { held: 9_500, available: 28_500 },
    ]);
    await rebuildBalances(fixture.deps, "sam");
    expect(await earningsOf(fixture.deps, "sam")).toMatchObject([{ held: 0, available: 0 }]);
  });

  it("changes over time when an event is over, and follows a changed setting", async () => {
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

  it("is equal to the ledger when several instances update it concurrently", async () => {
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

  it("applies a contribution once, wherever the process crashes", async () => {
    const fixture = await payoutsFixture();
    const id = await fixture.sell({ eventDaysAgo: 2 });
    const thing = {
      ...{ kind: "sale" as const, id, before: NO_CONTRIBUTION },
      share: { ...NO_CONTRIBUTION, available: 9_500 },
    };
    // Before the sale stores that its contribution was applied.
    const balance = await openBalance(fixture.deps.balances, "sam", "EUR");
    expect(await applyContribution(fixture.deps, balance, thing)).toBeDefined();
    // Another instance, at the same moment.
    expect(await applyContribution(fixture.deps, balance, thing)).toBeUndefined();
    await agree(fixture);
    // Afterwards, before the balance clears its pending contribution.
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
    // A process that was paused meanwhile continues late.
    if (after) await completePending(fixture.deps, after);
    await materialize(fixture.deps, "sale", id);
    await agree(fixture);
  });

  it("includes sales and payouts from before balances were materialized", async () => {
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

  it("includes what the previous version captures and pays out during a rolling update", async () => {
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

  it("is paid out by one instance at a time, and a crashed instance loses its lease", async () => {
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
