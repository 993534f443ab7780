import { create } from "@bufbuild/protobuf";
import { minorUnits as unitsOf } from "@ticketing/proto/currencies";
import { MoneySchema, type Money } from "@ticketing/proto/web-google/type/money";
import { plainNumber } from "./form-text.ts";

const NANO_DIGITS = 9;

/** What the forms begin with, where nothing says which currency is meant. */
export const defaultCurrency = "EUR";

/** How many digits follow the point: all that Money can hold, for a currency not in the list. */
const digitsOf = (currency: string): number => unitsOf(currency)?.digits ?? NANO_DIGITS;

/** The digits of an amount as a plain decimal, "19.90": never through a float. */
export function decimalText({ currencyCode, units, nanos }: Money): string {
  const digits = digitsOf(currencyCode);
  const sign = units < 0n || nanos < 0 ? "-" : "";
  const whole = units < 0n ? -units : units;
  const fraction = String(Math.abs(nanos)).padStart(NANO_DIGITS, "0").slice(0, digits);
  return digits ? `${sign}${whole}.${fraction}` : `${sign}${whole}`;
}

/** The amount in the minor units of its currency, as Stripe counts. */
export function minorUnits(money: Money): bigint {
  if (!unitsOf(money.currencyCode)) throw new Error(`${money.currencyCode} cannot be charged`);
  return BigInt(decimalText(money).replace(".", ""));
}

/** The amount as the visitor writes money; exact, because Intl takes decimal text. */
export function formatMoney(money: Money, locale: string): string {
  const style = { style: "currency", currency: money.currencyCode } as const;
  const usual = new Intl.NumberFormat(locale, style).resolvedOptions().maximumFractionDigits ?? 2;
  const digits = digitsOf(money.currencyCode);
  const format = new Intl.NumberFormat(locale, {
    ...style,
    minimumFractionDigits: unitsOf(money.currencyCode)?.digits ?? usual,
    maximumFractionDigits: digits,
    // People write whole forints, and hundredths are charged: they are shown where they count.
    trailingZeroDisplay: usual < digits ? "stripIfInteger" : "auto",
  });
  return format.format(decimalText(money) as Intl.StringNumericLiteral);
}

/** What is wrong with a price as it was typed, and with which part of it. */
interface PriceError {
  field: "price" | "currency";
  refused: string;
}

/**
 * Reads a price as a person types it, "19.90" or "19,90". Refuses in words what could mean two
 * things: "1,234" is no price in euros, and nobody sells for a thousandth of what they meant.
 */
export function parsePrice(text: string, currency: string): Money | PriceError {
  const refused = (words: string): PriceError => ({ field: "price", refused: words });
  const rules = unitsOf(currency);
  if (!rules) return { field: "currency", refused: "Choose a currency." };
  const match = /^(\d{1,15})(?:[.,](\d+))?$/.exec(plainNumber(text));
  if (!match) return refused("Write the price as a number, such as 25 or 19.90.");
  const [, units = "0", fraction = ""] = match;
  const { digits, step } = rules;
  const minor = BigInt(units + fraction.padEnd(digits, "0").slice(0, digits));
  if (fraction.length > digits || minor % BigInt(step) !== 0n) {
    const places = digits - Math.round(Math.log10(step));
    return refused(
      places
        ? `${currency} has ${places} decimals, and no separator for thousands: 1234.50.`
        : `${currency} has no decimals: write whole numbers only.`,
    );
  }
  if (minor === 0n) return refused("Ask for more than nothing.");
  const nanos = Number(fraction.padEnd(NANO_DIGITS, "0"));
  return create(MoneySchema, { currencyCode: currency, units: BigInt(units), nanos });
}
