import type { Balance } from "./balance.ts";
import { type BalanceDeps } from "./balance-source.ts";
import { materializeDue } from "./balance-refresh.ts";

export const DAY_MS = 86_400_000;

export type EarningsDeps = BalanceDeps;

/** What a seller has in one currency, in minor units. */
export interface Earnings {
  currency: string;
  held: number;
  available: number;
  paidOut: number;
  /** How many payouts there have been, whatever became of them. */
  payouts: number;
}

/** What a seller has earned, by currency, in the order of their codes. */
export async function earningsOf(deps: EarningsDeps, sellerId: string): Promise<Earnings[]> {
  await materializeDue(deps, sellerId);
  const found = await deps.balances.find({ sellerId }).sort({ currency: 1 }).lean<Balance[]>();
  return found.map(({ currency, held, available, paidOut, payouts }) => ({
    ...{ currency, held, available, paidOut, payouts },
  }));
}
