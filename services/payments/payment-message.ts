import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  DisputeStatus,
  PaymentStatus,
  RefundReason,
  RefundStatus,
  type AttemptSchema,
  type PaymentSchema,
  type RefundSchema,
} from "@ticketing/proto/payments/v1/payment";
import { toMoney } from "#runtime/values/money.ts";
import {
  newestAttempt,
  refundedAmount,
  type Attempt,
  type PaymentFields,
  type Refund,
} from "./payment.ts";

const money = ({ order: { currency } }: PaymentFields, amount: number) =>
  toMoney({ amount, currency });

const toAttemptMessage = (attempt: Attempt) =>
  ({
    id: attempt._id,
    stripeId: attempt.stripeId ?? "",
    status: PaymentStatus[attempt.status],
    failureCode: attempt.failureCode ?? "",
    createTime: timestampFromDate(attempt.createTime),
  }) satisfies MessageInitShape<typeof AttemptSchema>;

export const toRefundMessage = (
  payment: PaymentFields,
  refund: Refund,
): MessageInitShape<typeof RefundSchema> => ({
  id: refund._id,
  amount: money(payment, refund.amount),
  reason: RefundReason[refund.reason],
  status: RefundStatus[refund.status],
  createTime: timestampFromDate(refund.createTime),
  updateTime: timestampFromDate(refund.updateTime),
});

/** The payment as its seller may see it: the order, the amounts, the status and the times. */
export function toSellerMessage(payment: PaymentFields) {
  const { order, captureTime, dispute } = payment;
  const status = newestAttempt(payment)?.status;
  return {
    orderId: payment._id,
    sellerId: order.sellerId,
    title: order.title,
    amount: money(payment, order.price),
    refundedAmount: money(payment, refundedAmount(payment)),
    status: status ? PaymentStatus[status] : PaymentStatus.UNSPECIFIED,
    disputeStatus: dispute ? DisputeStatus[dispute.status] : DisputeStatus.UNSPECIFIED,
    version: BigInt(payment.version),
    createTime: timestampFromDate(payment.attempts[0]?.createTime ?? payment.createTime),
    updateTime: timestampFromDate(payment.updateTime),
    ...(captureTime && { captureTime: timestampFromDate(captureTime) }),
  } satisfies MessageInitShape<typeof PaymentSchema>;
}

/** The whole payment: its newest attempt, all attempts and all refunds. */
export function toMessage(payment: PaymentFields) {
  const attempt = newestAttempt(payment);
  return {
    ...toSellerMessage(payment),
    userId: payment.order.userId,
    attemptId: attempt?._id ?? "",
    stripeId: attempt?.stripeId ?? "",
    failureCode: attempt?.failureCode ?? "",
    attempts: payment.attempts.map(toAttemptMessage),
    refunds: payment.refunds.map((refund) => toRefundMessage(payment, refund)),
    ...(payment.codeOpenTime && { codeOpenTime: timestampFromDate(payment.codeOpenTime) }),
  } satisfies MessageInitShape<typeof PaymentSchema>;
}

/** The whole payment, without the decline codes that its buyer may not see. */
export function toBuyerMessage(payment: PaymentFields) {
  const whole = toMessage(payment);
  const terse = new Set(payment.attempts.filter((each) => each.terse).map(({ _id }) => _id));
  return {
    ...whole,
    failureCode: terse.has(whole.attemptId) ? "" : whole.failureCode,
    attempts: whole.attempts.map((each) =>
      terse.has(each.id) ? { ...each, failureCode: "" } : each,
    ),
  } satisfies MessageInitShape<typeof PaymentSchema>;
}
