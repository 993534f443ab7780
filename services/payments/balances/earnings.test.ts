import { describe, expect, it } from "vitest";
import { earningsOf } from "./earnings.ts";
import { DAY_MS, money, type Money } from "../testing/payouts-fixture.ts";

/** In minor units; the fee is 5 %. */
async function earnings({ deps }: Money, sellerId = "sam"): Promise<unknown> {
  const found = await earningsOf(deps, sellerId);
  return Object.fromEntries(
    found.map(({ currency, held, available, paidOut }) => [currency, [held, available, paidOut]]),
  );
}

describe("what was earned", () => {
  it("is held until a day after the event has begun", async () => {
    const all = await money();
    await all.sell({ eventDaysAgo: 0.99 });
    await all.sell({ eventDaysAgo: -30, price: 2_000 });
    expect(await earnings(all)).toEqual({ EUR: [11_400, 0, 0] });
    all.clock.ahead = 0.02 * DAY_MS;
    expect(await earnings(all)).toEqual({ EUR: [1_900, 9_500, 0] });
  });

  it("is held for 14 days where the ticket has no date", async () => {
    const all = await money();
    await all.sell({ daysAgo: 13.99 });
    expect(await earnings(all)).toEqual({ EUR: [9_500, 0, 0] });
    all.clock.ahead = 0.02 * DAY_MS;
    expect(await earnings(all)).toEqual({ EUR: [0, 9_500, 0] });
  });

  it("is less what was given back, where the sale is", async () => {
    const all = await money();
    await all.refund(await all.sell({ eventDaysAgo: 2 }), 4_000);
    await all.refund(await all.sell({ eventDaysAgo: -2 }), 10_000);
    await all.sell({ eventDaysAgo: -2, price: 2_000 });
    expect(await earnings(all)).toEqual({ EUR: [1_900, 5_700, 0] });
  });

  it("is less than nothing where the bank takes what was paid out", async () => {
    const all = await money();
    await all.onboarded();
    const sale = await all.sell({ eventDaysAgo: 2 });
    await all.start().sweep();
    expect(await earnings(all)).toEqual({ EUR: [0, 0, 9_500] });
    await all.dispute(sale);
    expect(await earnings(all)).toEqual({ EUR: [0, -9_500, 9_500] });
  });

  it("is told by currency, in the order of their codes, and of one seller", async () => {
    const all = await money();
    await all.sell({ currency: "USD", eventDaysAgo: 2 });
    await all.sell({ currency: "JPY", eventDaysAgo: 2, price: 999 });
    await all.sell({ currency: "KWD", price: 10_010 });
    await all.sell({ sellerId: "eve", eventDaysAgo: 2 });
    expect(await earnings(all)).toEqual({
      JPY: [0, 949, 0],
      KWD: [9_509, 0, 0],
      USD: [0, 9_500, 0],
    });
    const { deps } = all;
    expect((await earningsOf(deps, "sam")).map((each) => each.currency)).toEqual([
      "JPY",
      "KWD",
      "USD",
    ]);
    expect(await earnings(all, "nobody")).toEqual({});
  });
});
