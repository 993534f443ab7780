import { touch } from "#runtime/store/aggregate.ts";
import { LIVE, newest, type OrderCopy, type Payment, type PaymentFields } from "../payment.ts";

/** Keeps the newer of our copy of the order and what an event tells. */
export function keepOrder(payment: Payment, order: OrderCopy): boolean {
  if (!payment.isNew && order.version <= payment.order.version) return false;
  payment.order = order;
  touch(payment);
  return true;
}

/**
 * As `keepOrder`, of a snapshot: no money is taken because of one. Where it says that the order has
 * accepted an attempt that may still take it, only the order's own event can tell us so.
 */
export function keepSnapshot(payment: Payment, order: OrderCopy): boolean {
  const attempt = newest(payment);
  const accepted = order.status !== "CANCELLED" && attempt?._id === order.attemptId;
  const wouldTake = accepted && LIVE.includes(attempt.status);
  return !wouldTake && keepOrder(payment, order);
}

/** Whether a person must look: a snapshot tells of money of which we know too little to take it. */
export const isInDoubt = ({ order, attempts }: PaymentFields, told: OrderCopy): boolean =>
  order.version < told.version ||
  (order.version === told.version &&
    order.status === "AWAITING_PAYMENT" &&
    !attempts.some(({ _id }) => _id === order.attemptId));
