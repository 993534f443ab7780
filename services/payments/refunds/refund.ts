import {
  ChargeRefundedSchema,
  RefundRequestedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { record, touch } from "#runtime/store/aggregate.ts";
import { newId } from "#runtime/store/ids.ts";
import type { IdempotencyKey } from "#runtime/store/request-id.ts";
import { negate, reversalPosting } from "../ledger.ts";
import { toMessage } from "../payment-message.ts";
import { refundedAmount, type Payment, type PaymentFields, type Refund } from "../payment.ts";
import {
  capturedAttempt,
  isCaptured,
  isDisputed,
  pendingRefund,
  refundableAmount,
  refundInStatus,
} from "./refund-state.ts";

function setStatus(refund: Refund, status: Refund["status"], now = Date.now()): void {
  refund.status = status;
  refund.updateTime = new Date(now);
}

export interface RefundRequest extends Partial<IdempotencyKey> {
  reason: Refund["reason"];
  /** In minor units. The whole refundable amount if absent. */
  amount?: number | undefined;
  /** The user who requests it. */
  userId?: string;
}

/**
 * Begins a refund, and returns false if nothing can be refunded or another refund is pending. A
 * buyer's request waits until tickets has locked the code. A seller's or an administrator's request is
 * decided at once, and replaces a buyer's request that still waits.
 */
export function requestRefund(payment: Payment, request: RefundRequest, now = Date.now()): boolean {
  const refundable = refundableAmount(payment);
  const { amount = refundable, reason, userId = "", ...key } = request;
  const isBuyers = reason === "BUYER";
  const waiting = refundInStatus(payment, "REQUESTED");
  if (!isCaptured(payment) || isDisputed(payment) || pendingRefund(payment)) return false;
  // The code is locked for the whole amount, so only a full refund can replace a waiting request.
  if (waiting && (isBuyers || amount < refundable)) return false;
  if (amount < 1 || amount > refundable || (isBuyers && payment.codeOpenTime)) return false;
  if (waiting) setStatus(waiting, "REFUSED", now);
  const status = isBuyers ? "REQUESTED" : "PENDING";
  const time = new Date(now);
  const refund = { _id: newId(), amount, reason, status, userId, faults: 0, ...key } as const;
  payment.refunds.push({ ...refund, createTime: time, updateTime: time });
  const { ticketId } = payment.order;
  if (!isBuyers) touch(payment);
  else record(payment, RefundRequestedSchema, () => ({ payment: toMessage(payment), ticketId }));
  return true;
}

/** Tickets has locked the code, so the buyer's request is granted. */
export function applyCodeLocked(payment: Payment): boolean {
  const refund = refundInStatus(payment, "REQUESTED");
  if (!refund) return false;
  // A part may have been refunded in the Dashboard meanwhile.
  refund.amount = Math.min(refund.amount, refundableAmount(payment));
  setStatus(refund, refund.amount > 0 ? "PENDING" : "REFUSED");
  touch(payment);
  return true;
}

/** The code was revealed to the buyer, so their request is refused, now and later. */
export function applyCodeRevealed(payment: Payment, time: Date): boolean {
  const refund = refundInStatus(payment, "REQUESTED");
  if (payment.codeOpenTime && !refund) return false;
  payment.codeOpenTime ??= time;
  if (refund) setStatus(refund, "REFUSED");
  touch(payment);
  return true;
}

/** Posts money that goes back to the buyer, once. A negative amount posts money that returns to us. */
export function postReversal(payment: Payment, id: string, amount: number): boolean {
  const { order, fee, postings } = payment;
  if (postings.some(({ _id }) => _id === id)) return false;
  postings.push(reversalPosting(id, new Date(), amount, { price: order.price, fee, postings }));
  return true;
}

/** Derives the attempt's status from what was refunded of it. */
function recomputeStatus(payment: Payment): void {
  const attempt = capturedAttempt(payment);
  if (!attempt) return;
  if (refundableAmount(payment) <= 0) attempt.status = "REFUNDED";
  else attempt.status = refundedAmount(payment) > 0 ? "PARTLY_REFUNDED" : "CAPTURED";
}

/** The state of a refund at Stripe. */
export interface ProviderRefund {
  /** Our id, from the metadata; absent for a refund that was made in the Dashboard. */
  refundId: string | undefined;
  stripeId: string;
  amount: number;
  failed: boolean;
  createTime: Date;
}

const findMatching = (
  payment: PaymentFields,
  { refundId, stripeId }: ProviderRefund,
): Refund | undefined =>
  payment.refunds.find(({ _id, stripeId: known = stripeId }) => {
    return known === stripeId && (_id === refundId || _id === stripeId);
  });

/** Adds a refund that was made in the Dashboard. */
function addOutsideRefund(
  payment: Payment,
  { stripeId, amount, createTime }: ProviderRefund,
): void {
  payment.refunds.push({
    _id: stripeId,
    stripeId,
    amount,
    reason: "OUTSIDE",
    status: "SUCCEEDED",
    userId: "",
    faults: 0,
    createTime,
    updateTime: new Date(),
  });
}

/**
 * Stores the state of a refund at Stripe. A state that is already known changes nothing. A failed
 * refund stays failed, whatever an older answer says.
 */
export function recordRefund(payment: Payment, found: ProviderRefund): boolean {
  const { stripeId, amount } = found;
  const known = findMatching(payment, found);
  if (!capturedAttempt(payment)) return false;
  if (found.failed) return known !== undefined && failRefund(payment, known._id, stripeId);
  if (known) {
    const isNews = known.status === "PENDING" || (known.status === "FAILED" && !known.stripeId);
    if (!isNews) return false;
    setStatus(known, "SUCCEEDED");
    known.stripeId = stripeId;
  } else addOutsideRefund(payment, found);
  postReversal(payment, known?._id ?? stripeId, amount);
  recomputeStatus(payment);
  record(payment, ChargeRefundedSchema, () => ({ payment: toMessage(payment) }));
  return true;
}

/** Fails a refund: Stripe has refused it or, with `stripeId`, the bank has returned it. */
export function failRefund(payment: Payment, id: string, stripeId?: string): boolean {
  const refund = payment.refunds.find(({ _id }) => _id === id);
  if (refund?.status !== "PENDING" && refund?.status !== "SUCCEEDED") return false;
  if (refund.status === "SUCCEEDED") {
    postReversal(payment, `${id}:failed`, negate(refund.amount));
  }
  setStatus(refund, "FAILED");
  if (stripeId !== undefined) refund.stripeId = stripeId;
  recomputeStatus(payment);
  touch(payment);
  return true;
}

/**
 * Checks a pending refund again before Stripe is called: the bank may have taken the money, or a part
 * may have been refunded. A smaller amount is a new request with a new idempotency key; the old request
 * for more than is left can no longer succeed.
 */
export function reconsiderRefund(payment: Payment): boolean {
  const refund = pendingRefund(payment);
  if (!refund) return false;
  const refundable = refundableAmount(payment);
  if (isDisputed(payment) || refundable < 1) return failRefund(payment, refund._id);
  if (refund.amount <= refundable) return false;
  refund.amount = refundable;
  refund.faults += 1;
  touch(payment);
  return true;
}

/** Changes the idempotency key after an error of Stripe's own, which the old key would repeat for a day. */
export function incrementFaults(payment: Payment, { _id: id, faults }: Refund): boolean {
  const refund = pendingRefund(payment);
  if (refund?._id !== id || refund.faults !== faults) return false;
  refund.faults += 1;
  touch(payment);
  return true;
}
