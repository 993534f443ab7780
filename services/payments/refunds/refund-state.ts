import {
  CAPTURED_STATUSES,
  isSuperfluous,
  newestAttempt,
  refundedAmount,
  type Attempt,
  type PaymentFields,
  type Refund,
} from "../payment.ts";

/** The amount that has not been refunded yet. */
export const refundableAmount = (payment: PaymentFields): number =>
  payment.order.price - refundedAmount(payment);

/** Whether the attempt has captured money that is not fully refunded. */
export const isCaptured = (payment: PaymentFields): boolean =>
  CAPTURED_STATUSES.includes(newestAttempt(payment)?.status ?? "PENDING");

/** The attempt, if it has captured money, also where that is refunded. */
export function capturedAttempt(payment: PaymentFields): Attempt | undefined {
  const attempt = newestAttempt(payment);
  return isCaptured(payment) || attempt?.status === "REFUNDED" ? attempt : undefined;
}

/** Whether the buyer's bank has taken all or a part of the money, so that we cannot refund it. */
export const isDisputed = ({ postings }: PaymentFields): boolean => {
  const posted = new Set(postings.map(({ _id }) => _id));
  return [...posted].some((id) => /^dispute:[^:]+$/.test(id) && !posted.has(`${id}:won`));
};

export const refundInStatus = (
  { refunds }: PaymentFields,
  status: Refund["status"],
): Refund | undefined => refunds.find((refund) => refund.status === status);

/** The refund that is decided and not yet confirmed by Stripe. */
export const pendingRefund = (payment: PaymentFields): Refund | undefined =>
  refundInStatus(payment, "PENDING");

/** The refund that is requested or pending; there is at most one. */
export const refundInProgress = (payment: PaymentFields): Refund | undefined =>
  refundInStatus(payment, "REQUESTED") ?? pendingRefund(payment);

/**
 * Whether money was captured for an order that has ended or has accepted another attempt, so that it
 * must be refunded. After Stripe has refused that refund, a person decides, and it is not retried.
 */
export const isUnwantedCapture = (payment: PaymentFields): boolean =>
  isSuperfluous(payment, newestAttempt(payment)?._id ?? "") &&
  isCaptured(payment) &&
  !payment.refunds.some(
    ({ status, amount }) => status === "FAILED" && amount <= refundableAmount(payment),
  );
