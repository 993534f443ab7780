import {
  isSuperfluous,
  LIVE_STATUSES,
  newestAttempt,
  type PaymentFields,
  type Payments,
} from "../payment.ts";
import { pollIntervalMs } from "../stripe/poll-interval.ts";
import { isUnwantedCapture, pendingRefund } from "../refunds/refund.ts";

/** When a payment may be polled again, and what was known of it when that was said. */
export interface Poll {
  time: Date;
  version: number;
}

/** Whether a payment needs no answer of Stripe's to go on: what is to be done is known. */
export function isDecided(payment: PaymentFields): boolean {
  const attempt = newestAttempt(payment);
  if (!attempt) return false;
  const { _id, status, stripeId } = attempt;
  if (pendingRefund(payment) ?? isUnwantedCapture(payment)) return true;
  if (!LIVE_STATUSES.includes(status)) return false;
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
export async function claimPoll(
  payments: Payments,
  payment: Pick<PaymentFields, "_id" | "poll" | "version" | "updateTime">,
  now: number,
  isDecided: boolean,
): Promise<boolean> {
  const { _id, poll, version, updateTime } = payment;
  const gap = isDecided ? pollIntervalMs(0) : pollIntervalMs(now - updateTime.getTime());
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
