import { NO_TIME_LIMIT } from "#runtime/store/database.ts";
import type { BalanceDeps } from "./balance-source.ts";
import { materialize } from "./materialization.ts";

/** Counts whatever has changed since it was counted, of one seller or of all. */
export async function materializeDue(deps: BalanceDeps, sellerId?: string): Promise<void> {
  const { payments, payouts, now } = deps;
  const countTime = { $lte: new Date(now()) };
  const sales = { countTime, ...(sellerId !== undefined && { "order.sellerId": sellerId }) };
  const paid = { countTime, ...(sellerId !== undefined && { sellerId }) };
  // Payouts first: money that was paid out must not be seen as available.
  for await (const { _id } of payouts.find(paid, { _id: 1 }).lean().cursor())
    await materialize(deps, "payout", _id);
  for await (const { _id } of payments.find(sales, { _id: 1 }).lean().cursor())
    await materialize(deps, "sale", _id);
}

const NOW = { countTime: new Date(0) };

const NEVER = { counted: null, countTime: null };

/**
 * Marks what is to be counted because the software is new, or its settings are: sales and payouts that
 * never were, and held ones whose wait depends on a setting.
 */
export async function markUnmaterialized({ payments, payouts }: BalanceDeps): Promise<void> {
  const taken = { captureTime: { $gt: new Date(0) } };
  await payments.updateMany({ ...taken, ...NEVER }, { $set: NOW }, NO_TIME_LIMIT);
  await payouts.updateMany(NEVER, { $set: NOW }, NO_TIME_LIMIT);
  const waits = { countTime: { $gt: new Date(0) }, "order.eventTime": null };
  await payments.updateMany(waits, { $set: NOW }, NO_TIME_LIMIT);
}

const LATELY_MS = 3_600_000;

/**
 * Marks what the version before has left uncounted since the start: while this one comes, its instances
 * still take money and pay out.
 */
export async function markRecentlyMissed({ payments, payouts, now }: BalanceDeps): Promise<void> {
  const lately = { $gt: new Date(now() - LATELY_MS) };
  await payments.updateMany({ captureTime: lately, ...NEVER }, { $set: NOW });
  await payouts.updateMany({ "postings.time": lately, ...NEVER }, { $set: NOW });
}

/** Counts a seller from nothing. */
export async function rebuildBalances(deps: BalanceDeps, sellerId: string): Promise<void> {
  const anew = { $set: NOW, $unset: { counted: 1 } };
  await deps.balances.deleteMany({ sellerId });
  await deps.payments.updateMany({ "order.sellerId": sellerId, captureTime: { $ne: null } }, anew);
  await deps.payouts.updateMany({ sellerId }, anew);
  await materializeDue(deps, sellerId);
}
