import { describe, expect, it } from "vitest";
import { money, wrongFields } from "#runtime/testing/money.ts";
import { toChargeable } from "./stripe-amount.ts";

describe("an amount that Stripe can charge", () => {
  it.each([
    ["EUR", 0n, 500_000_000, 50],
    ["EUR", 999_999n, 990_000_000, 99_999_999],
    ["JPY", 50n, 0, 50],
    ["JPY", 99_999_999n, 0, 99_999_999],
    ["KWD", 0n, 10_000_000, 10],
    ["KWD", 99_999n, 990_000_000, 99_999_990],
    ["HUF", 20_000n, 990_000_000, 2_000_099],
    ["TWD", 300n, 500_000_000, 30_050],
    ["ISK", 500n, 0, 50_000],
    ["UGX", 999_999n, 0, 99_999_900],
  ] as const)("accepts %s %d.%d", (currency, units, nanos, amount) => {
    expect(toChargeable(money(currency, units, nanos), "price")).toEqual({ amount, currency });
  });

  it.each([
    ["zero", "EUR", 0n, 0],
    ["a negative amount", "EUR", -5n, 0],
    ["less than Stripe's minimum", "EUR", 0n, 490_000_000],
    ["more than eight digits", "EUR", 1_000_000n, 0],
    ["more than eight digits of yen", "JPY", 100_000_000n, 0],
    ["a last fils that is not 0", "KWD", 1n, 1_000_000],
    ["a fraction of a króna", "ISK", 500n, 500_000_000],
    ["a fraction of a Ugandan shilling", "UGX", 500n, 10_000_000],
  ] as const)("refuses %s", (_, currency, units, nanos) => {
    expect(wrongFields(() => toChargeable(money(currency, units, nanos), "price"))).toEqual([
      "price",
    ]);
  });

  it("names the minimum and maximum amount, in the currency's own digits", () => {
    const refused = (currency: string): unknown => toChargeable(money(currency, 0n), "price");
    expect(() => refused("EUR")).toThrow("between 0.50 and 999999.99 EUR");
    expect(() => refused("JPY")).toThrow("between 50 and 99999999 JPY");
    expect(() => refused("KWD")).toThrow("between 0.010 and 99999.990 KWD");
    expect(() => refused("ISK")).toThrow("between 1.00 and 999999.00 ISK");
  });
});
