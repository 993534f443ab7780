import { create } from "@bufbuild/protobuf";
import { MoneySchema, type Money } from "@ticketing/proto/web-google/type/money";

const NANO_DIGITS = 9;

/** What sellers can choose from. The services decide what they take; this is only the menu. */
export const currencies = [
  "EUR",
  "USD",
  "GBP",
  "CHF",
  "SEK",
  "NOK",
  "DKK",
  "PLN",
  "CZK",
  "CAD",
  "AUD",
  "JPY",
] as const;

/** How many decimals the currency has: 2 for EUR, 0 for JPY. */
export function decimals(currency: string): number {
  const { maximumFractionDigits } = new Intl.NumberFormat("en", {
    style: "currency",
    currency,
  }).resolvedOptions();
  return maximumFractionDigits ?? 2;
}

/** The digits of an amount as a plain decimal, "19.90": never through a float. */
export function decimalText({ currencyCode, units, nanos }: Money): string {
  const places = decimals(currencyCode);
  const sign = units < 0n || nanos < 0 ? "-" : "";
  const whole = units < 0n ? -units : units;
  const fraction = String(Math.abs(nanos)).padStart(NANO_DIGITS, "0").slice(0, places);
  return places ? `${sign}${whole}.${fraction}` : `${sign}${whole}`;
}

/** The amount in the smallest coins of its currency, as Stripe counts. */
export function minorUnits(money: Money): bigint {
  return BigInt(decimalText(money).replace(".", ""));
}

/** The amount as the visitor writes money; exact, because Intl takes decimal text. */
export function formatMoney(money: Money, locale: string): string {
  const format = new Intl.NumberFormat(locale, { style: "currency", currency: money.currencyCode });
  return format.format(decimalText(money) as Intl.StringNumericLiteral);
}

/**
 * Reads a price as a person types it, "19.90" or "19,90". Refuses in words what could mean two
 * things: "1,234" is no price in euros, and nobody sells for a thousandth of what they meant.
 */
export function parsePrice(text: string, currency: string): Money | { refused: string } {
  if (!/^[A-Z]{3}$/.test(currency)) return { refused: "Choose a currency." };
  const match = /^(\d{1,15})(?:[.,](\d+))?$/.exec(text.trim());
  if (!match) return { refused: "Write the price as a number, such as 25 or 19.90." };
  const [, units = "0", fraction = ""] = match;
  const places = decimals(currency);
  if (fraction.length > places)
    return {
      refused: places
        ? `${currency} has ${places} decimals, and no separator for thousands: 1234.50.`
        : `${currency} has no decimals: write whole numbers only.`,
    };
  const nanos = Number(fraction.padEnd(NANO_DIGITS, "0"));
  if (BigInt(units) === 0n && nanos === 0) return { refused: "Ask for more than nothing." };
  return create(MoneySchema, { currencyCode: currency, units: BigInt(units), nanos });
}
