import type Stripe from "stripe";
import type { Payments } from "../payment.ts";
import type { Payouts } from "../payout.ts";

// Reconciliation compares Stripe's balance with our ledger. Movements are matched by their source and
// not by time, because around midnight the two sides may record them on different days.

export interface ReconciliationDeps {
  payments: Payments;
  payouts: Payouts;
  stripe: Stripe;
}

/** A time span: `from` is included, `to` is not. */
export interface Span {
  from: Date;
  to: Date;
}

/** What moves money. `id` is Stripe's (for a sale, that of its intent), or ours for a payout. */
export interface MovementSource {
  kind: "sale" | "refund" | "dispute" | "payout" | "transfer reversal" | "posting";
  id: string;
  /** The document with our postings. */
  at: { paymentId: string } | { intent: string } | { payoutId: string } | undefined;
}

export interface Movements {
  thing: MovementSource;
  currency: string;
  amounts: number[];
}

export type Sides = Map<string, Movements>;

export function add(sides: Sides, thing: MovementSource, currency: string, amount: number): void {
  if (amount === 0) return;
  const key = `${thing.kind} ${thing.id}`;
  const side = sides.get(key) ?? { thing, currency, amounts: [] };
  side.amounts.push(amount);
  sides.set(key, side);
}
