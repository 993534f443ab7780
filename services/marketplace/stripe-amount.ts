import type { Money } from "@ticketing/proto/google/type/money";
import { invalidField } from "#runtime/errors.ts";
import { currencyOf, decimal, formatAmount, toMinor, type Amount } from "#runtime/values/money.ts";

/** Stripe accepts amounts of at most eight digits, in minor units. */
const MAX_AMOUNT = 99_999_999;

/**
 * Rounds down to an amount that Stripe can charge or transfer: for some currencies it accepts only multiples
 * of more than one minor unit.
 */
export function roundDownForStripe({ amount, currency }: Amount): number {
  return amount - (amount % currencyOf(currency, "amount").step);
}

/** Reads an amount that Stripe can charge or transfer. */
export function toStripeAmount(money: Money, field: string): Amount {
  const amount = toMinor(money, field);
  if (roundDownForStripe(amount) !== amount.amount) {
    const { digits, step } = currencyOf(amount.currency, field);
    const description = `must be a multiple of ${decimal(step, digits)} ${amount.currency}`;
    throw invalidField(field, description, "PRICE_NOT_CHARGEABLE");
  }
  return amount;
}

/** Reads an amount within Stripe's minimum and maximum charge. */
export function toChargeable(money: Money, field: string): Amount {
  const price = toStripeAmount(money, field);
  const { digits, minimum } = currencyOf(price.currency, field);
  const maximum = roundDownForStripe({ ...price, amount: MAX_AMOUNT });
  if (price.amount < minimum || price.amount > maximum) {
    const bounds = `${decimal(minimum, digits)} and ${formatAmount({ ...price, amount: maximum })}`;
    throw invalidField(field, `must be between ${bounds}`, "PRICE_NOT_CHARGEABLE");
  }
  return price;
}
