import { duplicateKeyIndex } from "#runtime/store/database.ts";
import type { Posting } from "../ledger.ts";
import type { Payout, Payouts } from "../payout.ts";

/** What changes a payout changes its seller's balance: the same write marks it. */
const STALE_BALANCE = { countTime: new Date(0) };

/** The money leaves Stripe, and we owe it no longer; or, where `amount` is less than nothing, both end. */
const posting = (id: string, time: Date, amount: number): Posting => ({
  _id: id,
  time,
  lines: [
    { account: "seller", amount },
    { account: "stripe", amount: 0 - amount },
  ],
});

interface Beginning {
  sellerId: string;
  accountId: string;
  currency: string;
  amount: number;
  /** How many there were when the amount was found. */
  before: number;
}

/** Begins a payout; nothing where another one was begun since the amount was found. */
export async function beginPayout(
  payouts: Payouts,
  { before, ...what }: Beginning,
  now: Date,
): Promise<Payout | undefined> {
  const id = `${what.sellerId}:${what.currency}:${before + 1}`;
  const payout: Payout = {
    _id: id,
    ...what,
    status: "PENDING",
    faults: 0,
    postings: [posting(id, now, what.amount)],
    createTime: now,
    updateTime: now,
    ...STALE_BALANCE,
  };
  try {
    await payouts.create(payout);
    return payout;
  } catch (error) {
    if (duplicateKeyIndex(error)) return undefined;
    throw error;
  }
}

const PENDING = "PENDING" as const;

/** Stripe has moved the money. */
export async function markPaid(
  payouts: Payouts,
  { _id, amount }: Payout,
  transferId: string,
  now: Date,
): Promise<void> {
  const paid = { status: "PAID" as const, transferId, updateTime: now, ...STALE_BALANCE };
  const { modifiedCount } = await payouts.updateOne({ _id, status: PENDING }, { $set: paid });
  if (modifiedCount > 0) return;
  // Another instance was refused at the same moment, and has posted it back.
  const again = { postings: posting(`${_id}:paid`, now, amount) };
  await payouts.updateOne({ _id, status: "FAILED" }, { $set: paid, $push: again });
}

/** It will not be moved: what was posted is taken back, and the money is available again. */
async function fail(
  payouts: Payouts,
  { _id, amount }: Payout,
  failureCode: string,
  now: Date,
  where: object = {},
): Promise<boolean> {
  const { modifiedCount } = await payouts.updateOne(
    { _id, status: PENDING, ...where },
    {
      $set: { status: "FAILED" as const, failureCode, updateTime: now, ...STALE_BALANCE },
      $push: { postings: posting(`${_id}:failed`, now, 0 - amount) },
    },
  );
  return modifiedCount > 0;
}

/** Stripe will not move it. */
export const markRefused = (
  payouts: Payouts,
  payout: Payout,
  failureCode: string,
  now: Date,
): Promise<boolean> => fail(payouts, payout, failureCode, now);

/** Why we ourselves have given up a payout that Stripe had not made. */
export const CANCEL_REASONS = ["seller_banned", "balance_changed"] as const;

export type CancelReason = (typeof CANCEL_REASONS)[number];

/** We do not want it any more, and nobody has asked Stripe for it since it was read. */
export const cancelPayout = (
  payouts: Payouts,
  payout: Payout,
  why: CancelReason,
  now: Date,
): Promise<boolean> => fail(payouts, payout, why, now, { sentTime: payout.sentTime ?? null });

/** Stripe is about to be asked; false where the payout has ended meanwhile. */
export async function markSent(
  payouts: Payouts,
  { _id }: Payout,
  sentTime: Date,
): Promise<boolean> {
  const { matchedCount } = await payouts.updateOne(
    { _id, status: PENDING },
    { $set: { sentTime } },
  );
  return matchedCount > 0;
}

/** Stripe failed by itself, and would again under the same key. */
export async function incrementFaults(payouts: Payouts, { _id, faults }: Payout): Promise<void> {
  await payouts.updateOne({ _id, status: PENDING, faults }, { $inc: { faults: 1 } });
}
