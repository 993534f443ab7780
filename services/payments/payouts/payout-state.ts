import { duplicateKeyIndex } from "#runtime/store/database.ts";
import { negate, type Posting } from "../ledger.ts";
import type { Payout, Payouts } from "../payout.ts";

/** A change of a payout changes its seller's balance, so the same write marks it as due for it. */
const STALE_BALANCE = { countTime: new Date(0) };

/** The posting of money that leaves to the seller, or, with a negative amount, returns to the balance. */
const posting = (id: string, time: Date, amount: number): Posting => ({
  _id: id,
  time,
  lines: [
    { account: "seller", amount },
    { account: "stripe", amount: negate(amount) },
  ],
});

interface Beginning {
  sellerId: string;
  accountId: string;
  currency: string;
  amount: number;
  /** The number of payouts when the amount was computed. */
  before: number;
}

/** Begins a payout; undefined if another one was begun since the amount was computed. */
export async function beginPayout(
  payouts: Payouts,
  { before, ...fields }: Beginning,
  now: Date,
): Promise<Payout | undefined> {
  const id = `${fields.sellerId}:${fields.currency}:${before + 1}`;
  const payout: Payout = {
    _id: id,
    ...fields,
    status: "PENDING",
    faults: 0,
    postings: [posting(id, now, fields.amount)],
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

/** Stripe has made the transfer. */
export async function markPaid(
  payouts: Payouts,
  { _id, amount }: Payout,
  transferId: string,
  now: Date,
): Promise<void> {
  const paid = { status: "PAID" as const, transferId, updateTime: now, ...STALE_BALANCE };
  const { modifiedCount } = await payouts.updateOne({ _id, status: PENDING }, { $set: paid });
  if (modifiedCount > 0) return;
  // Another instance got a refusal at the same time and reversed the payout, so it is posted again.
  const again = { postings: posting(`${_id}:paid`, now, amount) };
  await payouts.updateOne({ _id, status: "FAILED" }, { $set: paid, $push: again });
}

/** Fails a payout: its posting is reversed, and the money is available again. */
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
      $push: { postings: posting(`${_id}:failed`, now, negate(amount)) },
    },
  );
  return modifiedCount > 0;
}

/** Stripe refuses the transfer. */
export const markRefused = (
  payouts: Payouts,
  payout: Payout,
  failureCode: string,
  now: Date,
): Promise<boolean> => fail(payouts, payout, failureCode, now);

/** Why we cancel a payout before Stripe has made its transfer. */
export const CANCEL_REASONS = ["seller_banned", "balance_changed"] as const;

export type CancelReason = (typeof CANCEL_REASONS)[number];

/** Cancels a payout, unless another instance has requested its transfer meanwhile. */
export const cancelPayout = (
  payouts: Payouts,
  payout: Payout,
  why: CancelReason,
  now: Date,
): Promise<boolean> => fail(payouts, payout, why, now, { sentTime: payout.sentTime ?? null });

/** Stores that the transfer is about to be requested; false if the payout is no longer pending. */
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

/** Changes the idempotency key after an error of Stripe's own, which the old key would repeat. */
export async function incrementFaults(payouts: Payouts, { _id, faults }: Payout): Promise<void> {
  await payouts.updateOne({ _id, status: PENDING, faults }, { $inc: { faults: 1 } });
}
