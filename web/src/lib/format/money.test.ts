import { create } from "@bufbuild/protobuf";
import { MoneySchema } from "@ticketing/proto/web-google/type/money";
import { describe, expect, it } from "vitest";
import { decimalText, formatMoney, minorUnits, parsePrice } from "./money.ts";

const money = (currencyCode: string, units: bigint, nanos = 0) =>
  create(MoneySchema, { currencyCode, units, nanos });

describe("parsePrice", () => {
  it.each([
    ["19.99", "EUR", money("EUR", 19n, 990_000_000)],
    ["19,9", "EUR", money("EUR", 19n, 900_000_000)],
    [" 25 ", "USD", money("USD", 25n)],
    ["0.01", "GBP", money("GBP", 0n, 10_000_000)],
    ["5000", "JPY", money("JPY", 5000n)],
    ["20000.99", "HUF", money("HUF", 20_000n, 990_000_000)],
    ["500", "ISK", money("ISK", 500n)],
    ["1.230", "KWD", money("KWD", 1n, 230_000_000)],
    ["999999999999999", "EUR", money("EUR", 999999999999999n)],
    ["２５００", "EUR", money("EUR", 2500n)],
    ["１９．９０", "EUR", money("EUR", 19n, 900_000_000)],
    ["٢٥٫٥", "EUR", money("EUR", 25n, 500_000_000)],
  ])("reads %s %s exactly", (text, currency, expected) => {
    expect(parsePrice(text, currency)).toEqual(expected);
  });

  it.each([
    ["", "EUR"],
    ["0", "EUR"],
    ["0.00", "EUR"],
    ["-5", "EUR"],
    ["1,234", "EUR"],
    ["1.234,50", "EUR"],
    ["19.999", "EUR"],
    ["50.5", "JPY"],
    ["50.5", "ISK"],
    ["1.234", "KWD"],
    ["25", "XXX"],
    ["1e3", "EUR"],
    ["12", "euro"],
    [".5", "EUR"],
    ["2²", "EUR"],
    ["½", "EUR"],
  ])("rejects %j %s with a message", (text, currency) => {
    expect(parsePrice(text, currency)).toMatchObject({ error: expect.stringMatching(/\.$/) });
  });
});

describe("formatting", () => {
  it("keeps every digit", () => {
    expect(decimalText(money("EUR", 9007199254740993n, 10_000_000))).toBe("9007199254740993.01");
    expect(decimalText(money("EUR", -5n, -500_000_000))).toBe("-5.50");
    expect(decimalText(money("EUR", 0n, -10_000_000))).toBe("-0.01");
    expect(formatMoney(money("EUR", 9007199254740993n, 10_000_000), "en")).toBe(
      "€9,007,199,254,740,993.01",
    );
  });

  it("uses the user's locale and the currency's decimals", () => {
    expect(formatMoney(money("EUR", 19n, 900_000_000), "de-DE")).toBe("19,90\u00a0€");
    expect(formatMoney(money("JPY", 5000n), "en")).toBe("¥5,000");
  });

  it("shows hundredths that are charged, even in currencies that are usually written without", () => {
    expect(formatMoney(money("HUF", 20_000n, 990_000_000), "en")).toBe("HUF\u00a020,000.99");
    expect(formatMoney(money("HUF", 20_000n), "en")).toBe("HUF\u00a020,000");
    expect(formatMoney(money("HUF", 20_000n, 500_000_000), "hu-HU")).toBe("20\u00a0000,50\u00a0Ft");
    expect(formatMoney(money("TWD", 300n, 500_000_000), "en")).toBe("NT$300.50");
    expect(formatMoney(money("KWD", 1n, 230_000_000), "en")).toBe("KWD\u00a01.230");
    expect(formatMoney(money("ISK", 500n), "en")).toBe("ISK\u00a0500");
  });

  it("converts to the minor units that are charged", () => {
    expect(minorUnits(money("HUF", 20_000n, 990_000_000))).toBe(2_000_099n);
    expect(minorUnits(money("ISK", 500n))).toBe(50_000n);
    expect(minorUnits(money("KWD", 1n, 230_000_000))).toBe(1230n);
    expect(() => minorUnits(money("XXX", 1n))).toThrow("XXX");
  });

  it("shows an unknown currency with all its digits", () => {
    expect(formatMoney(money("CLF", 1n, 234_500_000), "en")).toBe("CLF\u00a01.2345");
  });

  it("parses what it has formatted", () => {
    const price = money("USD", 7n, 50_000_000);
    expect(parsePrice(decimalText(price), "USD")).toEqual(price);
    expect(minorUnits(price)).toBe(705n);
    expect(minorUnits(money("JPY", 5000n))).toBe(5000n);
  });
});
