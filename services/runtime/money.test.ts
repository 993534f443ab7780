import { create } from "@bufbuild/protobuf";
import { currencies } from "@ticketing/proto/currencies";
import { MoneySchema, type Money } from "@ticketing/proto/google/type/money";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidFields } from "./errors.ts";
import { toChargeable, toMinor, toMoney } from "./money.ts";

const money = (currencyCode: string, units: bigint, nanos = 0): Money =>
  create(MoneySchema, { currencyCode, units, nanos });

/** The fields that a refusal names. */
function wrongFields(read: () => unknown): string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof InvalidFields) return error.violations.map(({ field }) => field);
    throw error;
  }
  return [];
}

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

  it("loses nothing on the way there and back, whatever the amount and the currency", () => {
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
    ["a unit less, said as one more", 26n, -500_000_000],
    ["less than nothing, and then more", -1n, 500_000_000],
    ["a whole unit of nanos", 24n, 1_500_000_000],
    ["a whole unit of nanos below nothing", -24n, -1_000_000_000],
    ["the most nanos that there can be", 0n, 2_140_000_000],
  ] as const)("refuses %s: an amount is said in one way", (_, units, nanos) => {
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
    "refuses %d units, which no number holds",
    (units) => {
      expect(wrongFields(() => toMinor(money("EUR", units), "price"))).toEqual(["price.units"]);
    },
  );
});

describe("money that can be charged", () => {
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
  ] as const)("takes %s %d.%d", (currency, units, nanos, amount) => {
    expect(toChargeable(money(currency, units, nanos), "price")).toEqual({ amount, currency });
  });

  it.each([
    ["nothing", "EUR", 0n, 0],
    ["less than nothing", "EUR", -5n, 0],
    ["less than the least that Stripe takes", "EUR", 0n, 490_000_000],
    ["more than eight digits", "EUR", 1_000_000n, 0],
    ["more than eight digits of yen", "JPY", 100_000_000n, 0],
    ["a last fils that is not 0", "KWD", 1n, 1_000_000],
    ["a part of a króna", "ISK", 500n, 500_000_000],
    ["a part of a Ugandan shilling", "UGX", 500n, 10_000_000],
  ] as const)("refuses %s", (_, currency, units, nanos) => {
    expect(wrongFields(() => toChargeable(money(currency, units, nanos), "price"))).toEqual([
      "price",
    ]);
  });

  it("says between which amounts it must be, in the currency's own digits", () => {
    const refused = (currency: string): unknown => toChargeable(money(currency, 0n), "price");
    expect(() => refused("EUR")).toThrow("between 0.50 and 999999.99 EUR");
    expect(() => refused("JPY")).toThrow("between 50 and 99999999 JPY");
    expect(() => refused("KWD")).toThrow("between 0.010 and 99999.990 KWD");
    expect(() => refused("ISK")).toThrow("between 1.00 and 999999.00 ISK");
  });
});
