import { touch } from "#runtime/store/aggregate.ts";
import {
  LIVE_STATUSES,
  newestAttempt,
  type OrderReplica,
  type Payment,
  type PaymentFields,
} from "../payment.ts";

/** Applies an order if it is newer than our replica of it. */
export function applyIfNewer(payment: Payment, order: OrderReplica): boolean {
  if (order.version <= payment.order.version) return false;
  payment.order = order;
  touch(payment);
  return true;
}

/**
 * Applies an order from a snapshot, which never leads to a capture. If the order has accepted an
 * attempt that may still be captured, the snapshot is ignored: only the order's own event decides this.
 */
export function applySnapshotIfNewer(payment: Payment, order: OrderReplica): boolean {
  const attempt = newestAttempt(payment);
  const accepted = order.status !== "CANCELLED" && attempt?._id === order.attemptId;
  const wouldCapture = accepted && LIVE_STATUSES.includes(attempt.status);
  return !wouldCapture && applyIfNewer(payment, order);
}

/** Whether an operator must check: a snapshot refers to an attempt that we cannot capture safely. */
export const needsReview = ({ order, attempts }: PaymentFields, snapshot: OrderReplica): boolean =>
  order.version < snapshot.version ||
  (order.version === snapshot.version &&
    order.status === "AWAITING_PAYMENT" &&
    !attempts.some(({ _id }) => _id === order.attemptId));
