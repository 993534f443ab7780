import {
  isSuperfluous,
  LIVE_STATUSES,
  newestAttempt,
  type PaymentFields,
  type Payments,
  type Poll,
} from "../payment.ts";
import { pollIntervalMs } from "../stripe/poll-interval.ts";
import { isUnwantedCapture, pendingRefund } from "../refunds/refund-state.ts";

/** Whether the next step of a payment is already decided, so that no answer of Stripe is needed. */
export function isDecided(payment: PaymentFields): boolean {
  const attempt = newestAttempt(payment);
  if (!attempt) return false;
  const { _id, status, stripeId } = attempt;
  if (pendingRefund(payment) ?? isUnwantedCapture(payment)) return true;
  if (!LIVE_STATUSES.includes(status)) return false;
  if (isSuperfluous(payment, _id)) return stripeId !== undefined;
  return status === "AUTHORIZED" && payment.order.attemptId === _id;
}

/** Payments whose poll is due, or that have changed since their last poll. */
export const isDue = (now: number) => ({
  $or: [
    { poll: { $exists: false } },
    { "poll.time": { $lte: new Date(now) } },
    { $expr: { $ne: ["$poll.version", "$version"] } },
  ],
});

/**
 * Claims a payment for one poll or one step, by a compare-and-set on its due time. Of all instances
 * one gets it; if that instance crashes, the payment is due again after the interval.
 */
export async function claimPoll(
  payments: Payments,
  payment: Pick<PaymentFields, "_id" | "poll" | "version" | "updateTime">,
  now: number,
  isDecided: boolean,
): Promise<boolean> {
  const { _id, poll, version, updateTime } = payment;
  const interval = isDecided ? pollIntervalMs(0) : pollIntervalMs(now - updateTime.getTime());
  const next: Poll = { time: new Date(now + interval), version };
  const unclaimed = poll
    ? { "poll.time": poll.time, "poll.version": poll.version }
    : { poll: { $exists: false } };
  const { modifiedCount } = await payments.updateOne(
    { _id, ...unclaimed },
    { $set: { poll: next } },
  );
  return modifiedCount > 0;
}
