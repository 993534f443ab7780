import { type BalanceTransaction, newId, now } from "../objects/objects.ts";
import type { Unit } from "../store/unit.ts";

type Type = BalanceTransaction["type"];

/** Creates a balance transaction. The local Stripe charges no fee, so the net is the amount. */
export function book(
  unit: Unit,
  type: Type,
  amount: number,
  source: { id: string; currency: string },
  reporting_category: string = type,
): BalanceTransaction {
  return unit.put<BalanceTransaction>({
    id: newId("txn"),
    object: "balance_transaction",
    amount,
    available_on: now(),
    balance_type: "payments",
    created: now(),
    currency: source.currency,
    description: null,
    exchange_rate: null,
    fee: 0,
    fee_details: [],
    net: amount,
    reporting_category,
    source: source.id,
    status: "available",
    type,
  });
}

/** The platform's balance in a currency: the sum of its balance transactions. */
export function balanceIn(unit: Unit, currency: string): number {
  return unit
    .all("balance_transaction")
    .filter((each) => each.currency === currency)
    .reduce((sum, { net }) => sum + net, 0);
}

/** The platform's balance. Captured money is available at once, so nothing is pending. */
export function balance(unit: Unit) {
  const currencies = new Set(unit.all("balance_transaction").map(({ currency }) => currency));
  const amounts = (amountIn: (currency: string) => number) =>
    [...currencies].map((currency) => ({
      amount: amountIn(currency),
      currency,
      source_types: { card: amountIn(currency) },
    }));
  const available = amounts((currency) => balanceIn(unit, currency));
  return { object: "balance", available, livemode: false, pending: amounts(() => 0) };
}
