import type Stripe from "stripe";
import type { Payments } from "../payment.ts";
import type { Payouts } from "../payout.ts";

// Stripe's books and ours, side by side. They are matched by what the money moved for, and not by
// time: around midnight a thing may be written down here on one day and there on the other.

export interface ReconciliationDeps {
  payments: Payments;
  payouts: Payouts;
  stripe: Stripe;
}

/** From when, and until before when. */
export interface Span {
  from: Date;
  to: Date;
}

/** What money moves for: `id` is Stripe's (of a sale, its intent); of a payout it is ours. */
export interface MovementSource {
  kind: "sale" | "refund" | "dispute" | "payout" | "transfer reversal" | "posting";
  id: string;
  /** Where our side of it stands. */
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
