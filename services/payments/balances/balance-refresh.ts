import { NO_TIME_LIMIT } from "#runtime/store/database.ts";
import type { BalanceDeps } from "./balance-source.ts";
import { materialize } from "./materialization.ts";
import { HOUR_MS } from "#runtime/values/time.ts";

/** Applies all contributions that are due, of one seller or of all. */
export async function materializeDue(deps: BalanceDeps, sellerId?: string): Promise<void> {
  const { payments, payouts, now } = deps;
  const countTime = { $lte: new Date(now()) };
  const sales = { countTime, ...(sellerId !== undefined && { "order.sellerId": sellerId }) };
  const paid = { countTime, ...(sellerId !== undefined && { sellerId }) };
  // Payouts first, so that money that was paid out never shows as available.
  for await (const { _id } of payouts.find(paid, { _id: 1 }).lean().cursor())
    await materialize(deps, "payout", _id);
  for await (const { _id } of payments.find(sales, { _id: 1 }).lean().cursor())
    await materialize(deps, "sale", _id);
}

const DUE_NOW = { countTime: new Date(0) };

const NEVER_APPLIED = { counted: null, countTime: null };

/**
 * Marks the sources that a new version or a new setting concerns: those that were never applied, and
 * held sales whose availability depends on a setting.
 */
export async function markUnmaterialized({ payments, payouts }: BalanceDeps): Promise<void> {
  const taken = { captureTime: { $gt: new Date(0) } };
  await payments.updateMany({ ...taken, ...NEVER_APPLIED }, { $set: DUE_NOW }, NO_TIME_LIMIT);
  await payouts.updateMany(NEVER_APPLIED, { $set: DUE_NOW }, NO_TIME_LIMIT);
  const waits = { countTime: { $gt: new Date(0) }, "order.eventTime": null };
  await payments.updateMany(waits, { $set: DUE_NOW }, NO_TIME_LIMIT);
}

const RECENT_MS = HOUR_MS;

/**
 * Marks recent sources that were never applied: during a rolling update, instances of an old version
 * still capture money and pay out.
 */
export async function markRecentlyMissed({ payments, payouts, now }: BalanceDeps): Promise<void> {
  const recently = { $gt: new Date(now() - RECENT_MS) };
  await payments.updateMany({ captureTime: recently, ...NEVER_APPLIED }, { $set: DUE_NOW });
  await payouts.updateMany({ "postings.time": recently, ...NEVER_APPLIED }, { $set: DUE_NOW });
}

/** Rebuilds the balances of a seller from the ledger. */
export async function rebuildBalances(deps: BalanceDeps, sellerId: string): Promise<void> {
  const anew = { $set: DUE_NOW, $unset: { counted: 1 } };
  await deps.balances.deleteMany({ sellerId });
  await deps.payments.updateMany({ "order.sellerId": sellerId, captureTime: { $ne: null } }, anew);
  await deps.payouts.updateMany({ sellerId }, anew);
  await materializeDue(deps, sellerId);
}
