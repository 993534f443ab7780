import type { Balance } from "./balance.ts";
import { type BalanceDeps } from "./balance-source.ts";
import { materializeDue } from "./balance-refresh.ts";

export type EarningsDeps = BalanceDeps;

/** The earnings of a seller in one currency, in minor units. */
export interface Earnings {
  currency: string;
  held: number;
  available: number;
  paidOut: number;
  /** The number of payouts in any status. */
  payouts: number;
}

/** The earnings of a seller, sorted by currency code. */
export async function earningsOf(deps: EarningsDeps, sellerId: string): Promise<Earnings[]> {
  await materializeDue(deps, sellerId);
  const found = await deps.balances.find({ sellerId }).sort({ currency: 1 }).lean<Balance[]>();
  return found.map(({ currency, held, available, paidOut, payouts }) => ({
    currency,
    held,
    available,
    paidOut,
    payouts,
  }));
}
