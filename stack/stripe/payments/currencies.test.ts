import { create } from "@bufbuild/protobuf";
import { currencies, minorUnits } from "@ticketing/proto/currencies";
import { MoneySchema, type Money } from "@ticketing/proto/google/type/money";
import { Currency } from "@ticketing/proto/money/v1/currency";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatAmount, toMoney } from "#runtime/values/money.ts";
import { toChargeable } from "#marketplace/stripe-amount.ts";
// Only this test combines the displayed, stored and charged amounts.
// eslint-disable-next-line no-restricted-imports
import {
  decimalText,
  formatMoney,
  minorUnits as cardField,
  parsePrice,
} from "../../../web/src/lib/format/money.ts";
import { chargeable, money as stripesWords } from "./currencies.ts";

/** Stripe charges at most eight digits of minor units. */
const MOST = 99_999_999;

/** Any currency, with an amount that can be charged in it. */
const price = fc.constantFrom(...currencies).chain((currency) => {
  const { step, minimum } = minorUnits(currency)!;
  const multiples = { min: Math.ceil(minimum / step), max: Math.floor(MOST / step) };
  return fc.record({
    currency: fc.constant(currency),
    amount: fc.integer(multiples).map((multiple) => multiple * step),
  });
});

/** The number in a text that is formatted like "1,234.50". */
const numberIn = (text: string): number => Number(text.replaceAll(/[^\d.]/g, ""));

describe("the table of minor units", () => {
  it("has one complete row for each currency", () => {
    expect(currencies).toEqual([...currencies].sort());
    expect(currencies).toHaveLength(Object.keys(Currency).length - 1);
    for (const currency of currencies) {
      const { digits, step, minimum } = minorUnits(currency)!;
      expect([0, 2, 3], currency).toContain(digits);
      expect([minimum > 0, minimum % step], currency).toEqual([true, 0]);
    }
    expect(minorUnits("UNSPECIFIED")).toBeUndefined();
  });

  it("agrees with Stripe: zero, two and three decimals, and the special cases", () => {
    const counted = (...codes: string[]) =>
      codes.map((code) => [minorUnits(code)?.digits, minorUnits(code)?.step]);
    expect(counted("JPY", "KRW")).toEqual([
      [0, 1],
      [0, 1],
    ]);
    for (const dinar of ["BHD", "JOD", "KWD", "OMR", "TND"])
      expect(counted(dinar), dinar).toEqual([[3, 10]]);
    for (const charged of ["EUR", "HUF", "TWD"])
      expect(counted(charged), charged).toEqual([[2, 1]]);
    for (const whole of ["ISK", "UGX"]) expect(counted(whole), whole).toEqual([[2, 100]]);
  });

  it("makes the entered, displayed, stored and charged amounts equal in every currency", () => {
    fc.assert(
      fc.property(price, ({ amount, currency }) => {
        const wire = create(MoneySchema, toMoney({ amount, currency }));
        const value = amount / 10 ** minorUnits(currency)!.digits;
        expect(toChargeable(wire, "price")).toEqual({ amount, currency });
        expect(cardField(wire)).toBe(BigInt(amount));
        expect(() => chargeable(amount, currency.toLowerCase())).not.toThrow();
        expect(numberIn(formatMoney(wire, "en"))).toBe(value);
        expect(numberIn(stripesWords(amount, currency.toLowerCase()))).toBe(value);
        expect(numberIn(formatAmount({ amount, currency }))).toBe(value);
        expect(parsePrice(decimalText(wire), currency)).toEqual(wire);
      }),
      { numRuns: 2_000 },
    );
  });

  it("lets the storefront and the service accept exactly the amounts that Stripe accepts", () => {
    const anything = fc.constantFrom(...currencies).chain((currency) =>
      fc.record({
        currency: fc.constant(currency),
        amount: fc.integer({ min: 1, max: MOST * 2 }),
      }),
    );
    const takes = (what: () => unknown): boolean => {
      try {
        what();
        return true;
      } catch {
        return false;
      }
    };
    fc.assert(
      fc.property(anything, ({ amount, currency }) => {
        const wire: Money = toMoney({ amount, currency });
        const stripeTakes = takes(() => chargeable(amount, currency.toLowerCase()));
        expect(takes(() => toChargeable(wire, "price"))).toBe(stripeTakes);
        if (stripeTakes) expect(parsePrice(decimalText(wire), currency)).toEqual(wire);
      }),
      { numRuns: 2_000 },
    );
  });
});
