import { create } from "@bufbuild/protobuf";
import { minorUnits as unitsOf } from "@ticketing/proto/currencies";
import { MoneySchema, type Money } from "@ticketing/proto/web-google/type/money";
import { plainNumber } from "./form-text.ts";

const NANO_DIGITS = 9;

/** The currency that forms start with. */
export const defaultCurrency = "EUR";

/** The number of decimals; for a currency that is not in the list, all that Money can hold. */
const digitsOf = (currency: string): number => unitsOf(currency)?.digits ?? NANO_DIGITS;

/** An amount as a plain decimal, "19.90". It is never converted to a float. */
export function decimalText({ currencyCode, units, nanos }: Money): string {
  const digits = digitsOf(currencyCode);
  const sign = units < 0n || nanos < 0 ? "-" : "";
  const whole = units < 0n ? -units : units;
  const fraction = String(Math.abs(nanos)).padStart(NANO_DIGITS, "0").slice(0, digits);
  return digits ? `${sign}${whole}.${fraction}` : `${sign}${whole}`;
}

/** The amount in the minor units of its currency, as Stripe's API expects it. */
export function minorUnits(money: Money): bigint {
  if (!unitsOf(money.currencyCode)) throw new Error(`${money.currencyCode} cannot be charged`);
  return BigInt(decimalText(money).replace(".", ""));
}

/** The amount in the format of the locale. It is exact, because Intl accepts decimal text. */
export function formatMoney(money: Money, locale: string): string {
  const style = { style: "currency", currency: money.currencyCode } as const;
  const usual = new Intl.NumberFormat(locale, style).resolvedOptions().maximumFractionDigits ?? 2;
  const digits = digitsOf(money.currencyCode);
  const format = new Intl.NumberFormat(locale, {
    ...style,
    minimumFractionDigits: unitsOf(money.currencyCode)?.digits ?? usual,
    maximumFractionDigits: digits,
    // Forints are usually written without decimals, but hundredths can be charged: then they are shown.
    trailingZeroDisplay: usual < digits ? "stripIfInteger" : "auto",
  });
  return format.format(decimalText(money) as Intl.StringNumericLiteral);
}

/** Why a typed price is invalid, and which field is wrong. */
interface PriceError {
  field: "price" | "currency";
  error: string;
}

/**
 * Parses a price as people type it, "19.90" or "19,90". Ambiguous text is an error: "1,234" is not
 * accepted as a price in euros, because it could mean 1.234 or 1234.
 */
export function parsePrice(text: string, currency: string): Money | PriceError {
  const priceError = (error: string): PriceError => ({ field: "price", error });
  const rules = unitsOf(currency);
  if (!rules) return { field: "currency", error: "Choose a currency." };
  const match = /^(\d{1,15})(?:[.,](\d+))?$/.exec(plainNumber(text));
  if (!match) return priceError("Enter the price as a number, such as 25 or 19.90.");
  const [, units = "0", fraction = ""] = match;
  const { digits, step } = rules;
  const minor = BigInt(units + fraction.padEnd(digits, "0").slice(0, digits));
  if (fraction.length > digits || minor % BigInt(step) !== 0n) {
    const places = digits - Math.round(Math.log10(step));
    return priceError(
      places
        ? `Use at most ${places} decimals and no thousands separator, for example 1234.50.`
        : `Enter a whole number: ${currency} has no decimals.`,
    );
  }
  if (minor === 0n) return priceError("Enter a price greater than zero.");
  const nanos = Number(fraction.padEnd(NANO_DIGITS, "0"));
  return create(MoneySchema, { currencyCode: currency, units: BigInt(units), nanos });
}
