import { currencies } from "@ticketing/proto/currencies";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { money, wrongFields } from "../testing/money.ts";
import { toMinor, toMoney } from "./money.ts";

describe("money on the wire and in the store", () => {
  it.each([
    ["EUR", 19n, 990_000_000, 1999],
    ["EUR", 0n, 10_000_000, 1],
    ["USD", 999_999n, 990_000_000, 99_999_999],
    ["JPY", 5000n, 0, 5000],
    ["KWD", 1n, 10_000_000, 1010],
    ["KWD", 0n, 1_000_000, 1],
    ["EUR", -1n, -500_000_000, -150],
  ] as const)("keeps %s %d.%d as %d minor units", (currency, units, nanos, amount) => {
    expect(toMinor(money(currency, units, nanos), "price")).toEqual({ amount, currency });
    expect(toMoney({ amount, currency })).toEqual(money(currency, units, nanos));
  });

  it("is converted in both directions without loss, for any amount and currency", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.constantFrom(...currencies), (amount, currency) => {
        expect(toMinor(toMoney({ amount, currency }), "price")).toEqual({ amount, currency });
      }),
    );
  });

  it.each([
    ["half a cent", "EUR", 1n, 5_000_000],
    ["a billionth of a dollar", "USD", 0n, 1],
    ["a tenth of a yen", "JPY", 100n, 100_000_000],
    ["a tenth of a fils", "KWD", 1n, 100_000],
  ] as const)("refuses %s instead of rounding it", (_, currency, units, nanos) => {
    expect(wrongFields(() => toMinor(money(currency, units, nanos), "price"))).toEqual([
      "price.nanos",
    ]);
  });

  it.each([
    ["mixed signs, with positive units", 26n, -500_000_000],
    ["mixed signs, with negative units", -1n, 500_000_000],
    ["a whole unit of nanos", 24n, 1_500_000_000],
    ["a negative whole unit of nanos", -24n, -1_000_000_000],
    ["the maximum number of nanos", 0n, 2_140_000_000],
  ] as const)("refuses %s: each amount has exactly one representation", (_, units, nanos) => {
    expect(wrongFields(() => toMinor(money("EUR", units, nanos), "amount"))).toEqual([
      "amount.nanos",
    ]);
  });

  it.each(["XXX", "eur", "", "__proto__", "constructor"])("refuses the currency %o", (currency) => {
    expect(wrongFields(() => toMinor(money(currency, 1n), "max_price"))).toEqual([
      "max_price.currency_code",
    ]);
  });

  it.each([2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n])(
    "refuses %d units, which exceed the safe integers",
    (units) => {
      expect(wrongFields(() => toMinor(money("EUR", units), "price"))).toEqual(["price.units"]);
    },
  );
});
