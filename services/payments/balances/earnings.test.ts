import { describe, expect, it } from "vitest";
import { earningsOf } from "./earnings.ts";
import { DAY_MS, payoutsFixture, type PayoutsFixture } from "../testing/payouts-fixture.ts";

/** In minor units; the fee is 5 %. */
async function earnings({ deps }: PayoutsFixture, sellerId = "sam"): Promise<unknown> {
  const found = await earningsOf(deps, sellerId);
  return Object.fromEntries(
    found.map(({ currency, held, available, paidOut }) => [currency, [held, available, paidOut]]),
  );
}

describe("a seller's earnings", () => {
  it("are held until a day after the event has begun", async () => {
    const fixture = await payoutsFixture();
    await fixture.sell({ eventDaysAgo: 0.99 });
    await fixture.sell({ eventDaysAgo: -30, price: 2_000 });
    expect(await earnings(fixture)).toEqual({ EUR: [11_400, 0, 0] });
    fixture.clock.ahead = 0.02 * DAY_MS;
    expect(await earnings(fixture)).toEqual({ EUR: [1_900, 9_500, 0] });
  });

  it("are held for 14 days if the ticket has no date", async () => {
    const fixture = await payoutsFixture();
    await fixture.sell({ daysAgo: 13.99 });
    expect(await earnings(fixture)).toEqual({ EUR: [9_500, 0, 0] });
    fixture.clock.ahead = 0.02 * DAY_MS;
    expect(await earnings(fixture)).toEqual({ EUR: [0, 9_500, 0] });
  });

  it("are reduced by a refund in the amount that includes its sale, held or available", async () => {
    const fixture = await payoutsFixture();
    await fixture.refund(await fixture.sell({ eventDaysAgo: 2 }), 4_000);
    await fixture.refund(await fixture.sell({ eventDaysAgo: -2 }), 10_000);
    await fixture.sell({ eventDaysAgo: -2, price: 2_000 });
    expect(await earnings(fixture)).toEqual({ EUR: [1_900, 5_700, 0] });
  });

  it("are negative if the bank takes money that was already paid out", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    const sale = await fixture.sell({ eventDaysAgo: 2 });
    await fixture.start().sweep();
    expect(await earnings(fixture)).toEqual({ EUR: [0, 0, 9_500] });
    await fixture.dispute(sale);
    expect(await earnings(fixture)).toEqual({ EUR: [0, -9_500, 9_500] });
  });

  it("are listed by currency, sorted by code, for one seller only", async () => {
    const fixture = await payoutsFixture();
    await fixture.sell({ currency: "USD", eventDaysAgo: 2 });
    await fixture.sell({ currency: "JPY", eventDaysAgo: 2, price: 999 });
    await fixture.sell({ currency: "KWD", price: 10_010 });
    await fixture.sell({ sellerId: "eve", eventDaysAgo: 2 });
    expect(await earnings(fixture)).toEqual({
      JPY: [0, 949, 0],
      KWD: [9_509, 0, 0],
      USD: [0, 9_500, 0],
    });
    const { deps } = fixture;
    expect((await earningsOf(deps, "sam")).map((each) => each.currency)).toEqual([
      "JPY",
      "KWD",
      "USD",
    ]);
    expect(await earnings(fixture, "nobody")).toEqual({});
  });
});
