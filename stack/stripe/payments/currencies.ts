import { currencies, minorUnits, type MinorUnits } from "@ticketing/proto/currencies";
import { refused } from "../objects/errors.ts";

/** Eight digits of minor units. Stripe allows more in a few currencies, but it is not needed. */
const MAXIMUM = 99_999_999;

const unitsOf = (currency: string): MinorUnits | undefined => minorUnits(currency.toUpperCase());

/** Rejects a currency that is not in the contract, and an amount that Stripe does not charge. */
export function chargeable(amount: number, currency: string): void {
  const units = unitsOf(currency);
  if (!units) {
    const all = currencies.join(", ").toLowerCase();
    const message = `Invalid currency: ${currency}. Stripe currently supports these currencies: ${all}`;
    throw refused(message, { param: "currency" });
  }
  movable(amount, currency, "amount");
  if (amount < units.minimum) {
    const message = `Amount must be at least ${money(units.minimum, currency)} ${currency}`;
    throw refused(message, { code: "amount_too_small", param: "amount" });
  }
  if (amount > MAXIMUM) {
    const message = `Amount must be no more than ${money(MAXIMUM, currency)}`;
    throw refused(message, { code: "amount_too_large", param: "amount" });
  }
}

/** Rejects an amount below one, and an amount that is not a multiple of the currency's step. */
export function movable(amount: number, currency: string, param: string): void {
  positive(amount, param);
  const { step = 1 } = unitsOf(currency) ?? {};
  if (amount % step === 0) return;
  const message = `Invalid amount: an amount in ${currency} must be evenly divisible by ${step}.`;
  throw refused(message, { code: "parameter_invalid_integer", param });
}

/** Rejects an amount below one. */
export function positive(amount: number, param: string): void {
  if (amount >= 1) return;
  const message = "This value must be greater than or equal to 1.";
  throw refused(message, { code: "parameter_invalid_integer", param });
}

/** A formatted amount with every digit: $19.99. */
export function money(minor: number, currency: string): string {
  const { digits = 2 } = unitsOf(currency) ?? {};
  const format = new Intl.NumberFormat("en-US", {
    style: "currency",
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return format.format(minor / 10 ** digits);
}
