import {
  ChargeRefundedSchema,
  RefundRequestedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { record, touch } from "#runtime/store/aggregate.ts";
import { newId } from "#runtime/store/ids.ts";
import type { IdempotencyKey } from "#runtime/store/request-id.ts";
import { reversalPosting } from "../ledger.ts";
import { toMessage } from "../payment-message.ts";
import {
  isSuperfluous,
  CAPTURED_STATUSES,
  newestAttempt,
  refundedAmount,
  type Attempt,
  type Payment,
  type PaymentFields,
  type Refund,
} from "../payment.ts";

/** What has not been given back. */
export const refundableAmount = (payment: PaymentFields): number =>
  payment.order.price - refundedAmount(payment);

/** Whether the attempt has taken money that is not all back. */
export const isCaptured = (payment: PaymentFields): boolean =>
  CAPTURED_STATUSES.includes(newestAttempt(payment)?.status ?? "PENDING");

/** The attempt, if it has taken money, whatever became of that. */
function capturedAttempt(payment: PaymentFields): Attempt | undefined {
  const attempt = newestAttempt(payment);
  return isCaptured(payment) || attempt?.status === "REFUNDED" ? attempt : undefined;
}

/** Whether a bank has the money, or a part of it, so that it is not ours to give back. */
export const isDisputed = ({ postings }: PaymentFields): boolean => {
  const posted = new Set(postings.map(({ _id }) => _id));
  return [...posted].some((id) => /^dispute:[^:]+$/.test(id) && !posted.has(`${id}:won`));
};

const refundInStatus = ({ refunds }: PaymentFields, status: Refund["status"]): Refund | undefined =>
  refunds.find((refund) => refund.status === status);

/** The refund that is decided and on its way to Stripe. */
export const pendingRefund = (payment: PaymentFields): Refund | undefined =>
  refundInStatus(payment, "PENDING");

/** The one refund that is not at its end. */
export const refundInProgress = (payment: PaymentFields): Refund | undefined =>
  refundInStatus(payment, "REQUESTED") ?? pendingRefund(payment);

/**
 * Whether money was taken for an order that has ended, or has accepted another attempt. Where Stripe has refused so much already, a
 * person must look, and nothing is tried again and again.
 */
export const isUnwantedCapture = (payment: PaymentFields): boolean =>
  isSuperfluous(payment, newestAttempt(payment)?._id ?? "") &&
  isCaptured(payment) &&
  !payment.refunds.some(
    ({ status, amount }) => status === "FAILED" && amount <= refundableAmount(payment),
  );

function setStatus(refund: Refund, status: Refund["status"], now = Date.now()): void {
  refund.status = status;
  refund.updateTime = new Date(now);
}

/** Which refund: all that is left, unless it says how much. */
export interface RefundRequest extends Partial<IdempotencyKey> {
  reason: Refund["reason"];
  amount?: number | undefined;
  /** Who wants it. */
  userId?: string;
}

/**
 * Begins to give money back; where there is none to give, or some is going back already, it answers
 * false. A buyer's wish waits until tickets has sealed the code; any other is decided by it, and takes
 * the place of a wish that still waits.
 */
export function requestRefund(payment: Payment, wish: RefundRequest, now = Date.now()): boolean {
  const { amount = refundableAmount(payment), reason, userId = "", ...mark } = wish;
  const isBuyers = reason === "BUYER";
  const waiting = refundInStatus(payment, "REQUESTED");
  if (!isCaptured(payment) || isDisputed(payment) || pendingRefund(payment)) return false;
  // The code is sealed for the whole of it: in place of a wish only all can go back.
  if (waiting && (isBuyers || amount < refundableAmount(payment))) return false;
  if (amount < 1 || amount > refundableAmount(payment) || (isBuyers && payment.codeOpenTime))
    return false;
  // Whoever decides need not wait for what becomes of the buyer's wish.
  if (waiting) setStatus(waiting, "REFUSED", now);
  const status = isBuyers ? "REQUESTED" : "PENDING";
  const time = new Date(now);
  const begun = { _id: newId(), amount, reason, status, userId, faults: 0, ...mark } as const;
  payment.refunds.push({ ...begun, createTime: time, updateTime: time });
  const { ticketId } = payment.order;
  if (!isBuyers) touch(payment);
  else record(payment, RefundRequestedSchema, () => ({ payment: toMessage(payment), ticketId }));
  return true;
}

/** The ticket's code can be opened no more, so the buyer may have the money back. */
export function applyCodeLocked(payment: Payment): boolean {
  const refund = refundInStatus(payment, "REQUESTED");
  if (!refund) return false;
  refund.amount = Math.min(refund.amount, refundableAmount(payment)); // A part may be back by another way.
  setStatus(refund, refund.amount > 0 ? "PENDING" : "REFUSED");
  touch(payment);
  return true;
}

/** The buyer has opened the ticket's code: what they asked back is refused, now and later. */
export function applyCodeRevealed(payment: Payment, time: Date): boolean {
  const refund = refundInStatus(payment, "REQUESTED");
  if (payment.codeOpenTime && !refund) return false;
  payment.codeOpenTime ??= time;
  if (refund) setStatus(refund, "REFUSED");
  touch(payment);
  return true;
}

/** Writes down, once, whose money it is that goes back or, less than nothing, comes again. */
export function postReversal(payment: Payment, id: string, amount: number): boolean {
  const { order, fee, postings } = payment;
  if (postings.some(({ _id }) => _id === id)) return false;
  postings.push(reversalPosting(id, new Date(), amount, { price: order.price, fee, postings }));
  return true;
}

/** The attempt stands where what was given back of it has brought it. */
function recomputeStatus(payment: Payment): void {
  const attempt = capturedAttempt(payment);
  if (!attempt) return;
  if (refundableAmount(payment) <= 0) attempt.status = "REFUNDED";
  else attempt.status = refundedAmount(payment) > 0 ? "PARTLY_REFUNDED" : "CAPTURED";
}

/** What Stripe says of one refund. */
export interface ProviderRefund {
  /** Ours, from its metadata; nothing where it was made on Stripe's own pages. */
  refundId: string | undefined;
  stripeId: string;
  amount: number;
  /** Whether it came to nothing. */
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

/**
 * Stores what Stripe says of a refund; what is known already changes nothing. One that nobody of ours
 * made was made on Stripe's own pages. That one has failed is its end, whatever an older answer says.
 */
export function recordRefund(payment: Payment, said: ProviderRefund): boolean {
  const { stripeId, amount, createTime } = said;
  const known = findMatching(payment, said);
  if (!capturedAttempt(payment)) return false;
  if (said.failed) return known !== undefined && failRefund(payment, known._id, stripeId);
  if (known) {
    const isNews = known.status === "PENDING" || (known.status === "FAILED" && !known.stripeId);
    if (!isNews) return false;
    setStatus(known, "SUCCEEDED");
    known.stripeId = stripeId;
  } else {
    const outside = { reason: "OUTSIDE", status: "SUCCEEDED", userId: "", faults: 0 } as const;
    const times = { createTime, updateTime: new Date() };
    payment.refunds.push({ _id: stripeId, stripeId, amount, ...outside, ...times });
  }
  postReversal(payment, known?._id ?? stripeId, amount);
  recomputeStatus(payment);
  record(payment, ChargeRefundedSchema, () => ({ payment: toMessage(payment) }));
  return true;
}

/** A refund came to nothing: Stripe has refused it or, with `stripeId`, the bank has returned it. */
export function failRefund(payment: Payment, id: string, stripeId?: string): boolean {
  const refund = payment.refunds.find(({ _id }) => _id === id);
  if (refund?.status !== "PENDING" && refund?.status !== "SUCCEEDED") return false;
  if (refund.status === "SUCCEEDED") postReversal(payment, `${id}:failed`, 0 - refund.amount);
  setStatus(refund, "FAILED");
  if (stripeId !== undefined) refund.stripeId = stripeId;
  recomputeStatus(payment);
  touch(payment);
  return true;
}

/**
 * Decides anew on the refund that is on its way to Stripe, before Stripe is asked: a bank may have taken
 * the money meanwhile, or another refund a part of it. Of less it is another request, by another key;
 * an earlier one for more than there is can no longer be made.
 */
export function reconsiderRefund(payment: Payment): boolean {
  const refund = pendingRefund(payment);
  if (!refund) return false;
  if (isDisputed(payment) || refundableAmount(payment) < 1) return failRefund(payment, refund._id);
  if (refund.amount <= refundableAmount(payment)) return false;
  refund.amount = refundableAmount(payment);
  refund.faults += 1;
  touch(payment);
  return true;
}

/** Stripe has failed by itself; under the same key it would repeat that for a day. */
export function incrementFaults(payment: Payment, { _id: id, faults }: Refund): boolean {
  const refund = pendingRefund(payment);
  if (refund?._id !== id || refund.faults !== faults) return false;
  refund.faults += 1;
  touch(payment);
  return true;
}
