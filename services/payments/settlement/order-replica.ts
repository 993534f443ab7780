import { touch } from "#runtime/store/aggregate.ts";
import {
  LIVE_STATUSES,
  newestAttempt,
  type OrderReplica,
  type Payment,
  type PaymentFields,
} from "../payment.ts";

/** Keeps the newer of our copy of the order and what an event tells. */
export function applyIfNewer(payment: Payment, order: OrderReplica): boolean {
  if (!payment.isNew && order.version <= payment.order.version) return false;
  payment.order = order;
  touch(payment);
  return true;
}

/**
 * As `keepOrder`, of a snapshot: no money is taken because of one. Where it says that the order has
 * accepted an attempt that may still take it, only the order's own event can tell us so.
 */
export function applySnapshotIfNewer(payment: Payment, order: OrderReplica): boolean {
  const attempt = newestAttempt(payment);
  const accepted = order.status !== "CANCELLED" && attempt?._id === order.attemptId;
  const wouldTake = accepted && LIVE_STATUSES.includes(attempt.status);
  return !wouldTake && applyIfNewer(payment, order);
}

/** Whether a person must look: a snapshot tells of money of which we know too little to take it. */
export const needsReview = ({ order, attempts }: PaymentFields, told: OrderReplica): boolean =>
  order.version < told.version ||
  (order.version === told.version &&
    order.status === "AWAITING_PAYMENT" &&
    !attempts.some(({ _id }) => _id === order.attemptId));
