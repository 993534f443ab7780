import { create } from "@bufbuild/protobuf";
import { MoneySchema, type Money } from "@ticketing/proto/google/type/money";
import { invalidField } from "./errors.ts";

/** An amount in whole minor units (cents, yen, fils) of its currency: how the stores keep money. */
export interface Amount {
  amount: number;
  currency: string;
}

/**
 * The currencies that can be charged: how many digits follow the point, and the smallest charge in
 * minor units that Stripe accepts (for those without a minimum of their own: the smallest coin).
 */
const currencies: Readonly<Record<string, { digits: 0 | 2 | 3; least: number }>> = {
  AED: { digits: 2, least: 200 },
  AUD: { digits: 2, least: 50 },
  BHD: { digits: 3, least: 10 },
  BRL: { digits: 2, least: 50 },
  CAD: { digits: 2, least: 50 },
  CHF: { digits: 2, least: 50 },
  CZK: { digits: 2, least: 1500 },
  DKK: { digits: 2, least: 250 },
  EUR: { digits: 2, least: 50 },
  GBP: { digits: 2, least: 30 },
  HKD: { digits: 2, least: 400 },
  HUF: { digits: 2, least: 17_500 },
  INR: { digits: 2, least: 50 },
  JOD: { digits: 3, least: 10 },
  JPY: { digits: 0, least: 50 },
  KRW: { digits: 0, least: 50 },
  KWD: { digits: 3, least: 10 },
  MXN: { digits: 2, least: 1000 },
  MYR: { digits: 2, least: 200 },
  NOK: { digits: 2, least: 300 },
  NZD: { digits: 2, least: 50 },
  OMR: { digits: 3, least: 10 },
  PLN: { digits: 2, least: 200 },
  RON: { digits: 2, least: 200 },
  SEK: { digits: 2, least: 300 },
  SGD: { digits: 2, least: 50 },
  THB: { digits: 2, least: 1000 },
  TND: { digits: 3, least: 10 },
  USD: { digits: 2, least: 50 },
};

/** Stripe takes at most eight digits. */
const MOST = 99_999_999;

function known(currency: string, field: string): { digits: number; least: number } {
  const found = Object.hasOwn(currencies, currency) ? currencies[currency] : undefined;
  if (!found)
    throw invalidField(`${field}.currency_code`, `"${currency}" is not a currency taken here`);
  return found;
}

/** Wire to store, exactly: an amount between two minor units is refused, never rounded. */
export function toMinor(money: Money, field: string): Amount {
  const { digits } = known(money.currencyCode, field);
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
export const inWords = ({ amount, currency }: Amount): string =>
  `${decimal(amount, known(currency, "amount").digits)} ${currency}`;

/** An amount that Stripe can move, or a word on why not. */
export function toMovable(money: Money, field: string): Amount {
  const amount = toMinor(money, field);
  // Stripe takes three-decimal currencies only in tens of their smallest coin.
  if (known(amount.currency, field).digits === 3 && amount.amount % 10 !== 0) {
    throw invalidField(field, "the last digit must be 0 in this currency", "PRICE_NOT_CHARGEABLE");
  }
  return amount;
}

/** An amount that can be charged, or a word on why not. */
export function toChargeable(money: Money, field: string): Amount {
  const price = toMovable(money, field);
  const { digits, least } = known(price.currency, field);
  if (price.amount < least || price.amount > MOST) {
    const bounds = `${decimal(least, digits)} and ${inWords({ ...price, amount: MOST })}`;
    throw invalidField(field, `must be between ${bounds}`, "PRICE_NOT_CHARGEABLE");
  }
  return price;
}

/** The part of an amount that Stripe can move; the rest, less than ten of the smallest coin, stays. */
export const movablePart = ({ amount, currency }: Amount): number =>
  known(currency, "amount").digits === 3 ? amount - (amount % 10) : amount;
