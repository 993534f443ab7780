import { isSuperfluous, LIVE, newest, type PaymentFields, type Payments } from "./payment.ts";
import { isUnwanted, pendingRefund } from "./refund.ts";

const MINUTE_MS = 60_000;
const LONGEST_GAP_MS = 3_600_000;
/** The gap between two polls, as a part of how long nothing has happened to a payment. */
const PART_OF_AGE = 6;

/** When a payment may be polled again, and what was known of it when that was said. */
export interface Poll {
  time: Date;
  version: number;
}

/**
 * A gap that grows with how long nothing has happened, within bounds. Spread, so that what began
 * together does not come together.
 */
export const growingGapMs = (ageMs: number, leastMs: number, mostMs: number): number =>
  Math.min(Math.max(ageMs / PART_OF_AGE, leastMs), mostMs) * (0.8 + 0.2 * Math.random());

/**
 * How long after a poll the next one comes: a minute while a payment is young, up to an hour for one to
 * which nothing has happened for long.
 */
export const pollGapMs = (ageMs: number): number => growingGapMs(ageMs, MINUTE_MS, LONGEST_GAP_MS);

/** Whether a payment needs no answer of Stripe's to go on: what is to be done is known. */
export function isDecided(payment: PaymentFields): boolean {
  const attempt = newest(payment);
  if (!attempt) return false;
  const { _id, status, stripeId } = attempt;
  if (pendingRefund(payment) ?? isUnwanted(payment)) return true;
  if (!LIVE.includes(status)) return false;
  if (isSuperfluous(payment, _id)) return stripeId !== undefined;
  return status === "AUTHORIZED" && payment.order.attemptId === _id;
}

/** Payments of which Stripe may be asked now, or to which something has happened since it was. */
export const isDue = (now: number) => ({
  $or: [
    { poll: { $exists: false } },
    { "poll.time": { $lte: new Date(now) } },
    { $expr: { $ne: ["$poll.version", "$version"] } },
  ],
});

/**
 * Claims a payment for one poll, or one step, by a compare-and-set on when it is due: of any number of
 * instances one gets it, and if that one dies the payment is due again after the gap.
 */
export async function claim(
  payments: Payments,
  payment: Pick<PaymentFields, "_id" | "poll" | "version" | "updateTime">,
  now: number,
  isDecided: boolean,
): Promise<boolean> {
  const { _id, poll, version, updateTime } = payment;
  const gap = isDecided ? pollGapMs(0) : pollGapMs(now - updateTime.getTime());
  const next: Poll = { time: new Date(now + gap), version };
  const unclaimed = poll
    ? { "poll.time": poll.time, "poll.version": poll.version }
    : { poll: { $exists: false } };
  const { modifiedCount } = await payments.updateOne(
    { _id, ...unclaimed },
    { $set: { poll: next } },
  );
  return modifiedCount > 0;
}
