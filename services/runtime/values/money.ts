import { create } from "@bufbuild/protobuf";
import { minorUnits, type MinorUnits } from "@ticketing/proto/currencies";
import { type Money, MoneySchema } from "@ticketing/proto/google/type/money";
import { invalidField } from "../errors.ts";

/** An amount in whole minor units (cents, yen, fils) of its currency, as it is stored. */
export interface Amount {
  amount: number;
  currency: string;
}

export function currencyOf(currency: string, field: string): MinorUnits {
  const found = minorUnits(currency);
  if (!found)
    throw invalidField(`${field}.currency_code`, `"${currency}" is not a currency taken here`);
  return found;
}

const NANOS_OF_A_UNIT = 1_000_000_000;

/** The rules of `google.type.Money`: each amount has exactly one representation. */
function mustBeWellFormed({ units, nanos }: Money, field: string): void {
  const violation =
    Math.abs(nanos) >= NANOS_OF_A_UNIT
      ? "must be less than a whole unit"
      : nanos !== 0 &&
        units !== 0n &&
        nanos < 0 !== units < 0n &&
        "must have the sign of the units";
  if (violation) throw invalidField(`${field}.nanos`, violation);
}

/**
 * Converts from the wire to the store without loss: an amount between two minor units is refused, not
 * rounded.
 */
export function toMinor(money: Money, field: string): Amount {
  const { digits } = currencyOf(money.currencyCode, field);
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

/** Converts from the store to the wire. */
export function toMoney({ amount, currency }: Amount): Money {
  const { digits } = currencyOf(currency, "price");
  const scale = 10 ** digits;
  const units = Math.trunc(amount / scale);
  const nanos = Math.round((amount - units * scale) * 10 ** (9 - digits));
  return create(MoneySchema, { currencyCode: currency, units: BigInt(units), nanos });
}

export const decimal = (amount: number, digits: number): string =>
  (amount / 10 ** digits).toFixed(digits);

/** An amount for display, without rounding: "25.50 EUR". */
export const formatAmount = ({ amount, currency }: Amount): string =>
  `${decimal(amount, currencyOf(currency, "amount").digits)} ${currency}`;
