import { create } from "@bufbuild/protobuf";
import { minorUnits, type MinorUnits } from "@ticketing/proto/currencies";
import { MoneySchema, type Money } from "@ticketing/proto/google/type/money";
import { invalidField } from "./errors.ts";

/** An amount in whole minor units (cents, yen, fils) of its currency: how the stores keep money. */
export interface Amount {
  amount: number;
  currency: string;
}

/** Stripe charges at most eight digits. */
const MOST = 99_999_999;

function known(currency: string, field: string): MinorUnits {
  const found = minorUnits(currency);
  if (!found)
    throw invalidField(`${field}.currency_code`, `"${currency}" is not a currency taken here`);
  return found;
}

const NANOS_OF_A_UNIT = 1_000_000_000;

/** As `google.type.Money` has it: one amount can be said in one way. */
function mustBeWellFormed({ units, nanos }: Money, field: string): void {
  const words =
    Math.abs(nanos) >= NANOS_OF_A_UNIT
      ? "must be less than a whole unit"
      : nanos !== 0 &&
        units !== 0n &&
        nanos < 0 !== units < 0n &&
        "must have the sign of the units";
  if (words) throw invalidField(`${field}.nanos`, words);
}

/** Wire to store, exactly: an amount between two minor units is refused, never rounded. */
export function toMinor(money: Money, field: string): Amount {
  const { digits } = known(money.currencyCode, field);
  mustBeWellFormed(money, field);
  const nanosPerUnit = 10 ** (9 - digits);
  if (money.nanos % nanosPerUnit !== 0) {
    throw invalidField(
      `${field}.nanos`,
      `${money.currencyCode} has ${digits} digits after the point`,
    );
  }
  const amount = money.units * 10n ** BigInt(digits) + BigInt(money.nanos / nanosPerUnit);
  if (amount > BigInt(Number.MAX_SAFE_INTEGER) || amount < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw invalidField(`${field}.units`, "the amount is too large");
  }
  return { amount: Number(amount), currency: money.currencyCode };
}

/** Store to wire. */
export function toMoney({ amount, currency }: Amount): Money {
  const { digits } = known(currency, "price");
  const scale = 10 ** digits;
  const units = Math.trunc(amount / scale);
  const nanos = Math.round((amount - units * scale) * 10 ** (9 - digits));
  return create(MoneySchema, { currencyCode: currency, units: BigInt(units), nanos });
}

const decimal = (amount: number, digits: number): string => (amount / 10 ** digits).toFixed(digits);

/** An amount for people, exactly: "25.50 EUR". */
export const formatAmount = ({ amount, currency }: Amount): string =>
  `${decimal(amount, known(currency, "amount").digits)} ${currency}`;

/** The part of an amount that Stripe can move; the rest, less than one step of the currency, stays. */
export function roundDownForStripe({ amount, currency }: Amount): number {
  return amount - (amount % known(currency, "amount").step);
}

/** An amount that Stripe can move, or a word on why not. */
export function toStripeAmount(money: Money, field: string): Amount {
  const amount = toMinor(money, field);
  if (roundDownForStripe(amount) !== amount.amount) {
    const { digits, step } = known(amount.currency, field);
    const words = `must be a multiple of ${decimal(step, digits)} ${amount.currency}`;
    throw invalidField(field, words, "PRICE_NOT_CHARGEABLE");
  }
  return amount;
}

/** An amount that can be charged, or a word on why not. */
export function toChargeable(money: Money, field: string): Amount {
  const price = toStripeAmount(money, field);
  const { digits, minimum } = known(price.currency, field);
  const maximum = roundDownForStripe({ ...price, amount: MOST });
  if (price.amount < minimum || price.amount > maximum) {
    const bounds = `${decimal(minimum, digits)} and ${formatAmount({ ...price, amount: maximum })}`;
    throw invalidField(field, `must be between ${bounds}`, "PRICE_NOT_CHARGEABLE");
  }
  return price;
}
