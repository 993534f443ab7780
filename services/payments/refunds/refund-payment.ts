import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  RefundPaymentRequestSchema,
  type RefundPaymentRequest,
  type RefundPaymentResponseSchema,
} from "@ticketing/proto/payments/v1/payment_service";
import { update } from "#runtime/store/aggregate.ts";
import type { Caller } from "#runtime/identity/tokens.ts";
import { CallError, invalidField, type DomainError } from "#runtime/errors.ts";
import { toStripeAmount } from "#marketplace/stripe-amount.ts";
import { idempotencyKey, mustBeSameRequest } from "#runtime/store/request-id.ts";
import type { PaymentDeps } from "../deps.ts";
import { PaymentError } from "../errors.ts";
import { toRefundMessage } from "../payment-message.ts";
import { newestAttempt, type PaymentFields, type Refund } from "../payment.ts";
import { requestRefund } from "./refund.ts";
import { refundableAmount } from "./refund-state.ts";
import { mustBeRefundable, type Role } from "./refundability.ts";

export interface RefundDeps extends PaymentDeps {
  /** For how many days the money for a ticket without a date is held before it is paid out. */
  holdDays: number;
}

/** The role in which a caller may see a payment. A seller sees only payments that were captured. */
export function roleOf({ id, roles }: Caller, payment: PaymentFields): Role | undefined {
  const { order, captureTime } = payment;
  if (!newestAttempt(payment)) return undefined;
  if (roles.includes("administrator")) return "ADMINISTRATOR";
  if (order.userId === id) return "BUYER";
  return order.sellerId === id && captureTime ? "SELLER" : undefined;
}

export const paymentNotFound = (): DomainError =>
  new PaymentError("PAYMENT_NOT_FOUND", "you have made no such payment");

/** The amount in minor units: the whole refundable amount, unless an administrator gives another. */
function amountOf(payment: PaymentFields, role: Role, { amount }: RefundPaymentRequest): number {
  const refundable = refundableAmount(payment);
  if (!amount) return refundable;
  if (role !== "ADMINISTRATOR") {
    throw new CallError("NOT_ALLOWED", "only an administrator may refund a part of it");
  }
  const requested = toStripeAmount(amount, "amount");
  if (requested.currency !== payment.order.currency) {
    throw invalidField("amount.currency_code", `this was paid in ${payment.order.currency}`);
  }
  if (requested.amount < 1) throw invalidField("amount", "must be more than nothing");
  if (requested.amount > refundable) throw invalidField("amount", "must be no more than is left");
  return requested.amount;
}

/** Begins a refund. The same request again returns the refund that it began before. */
export async function refundPayment(
  { payments, now, holdDays }: RefundDeps,
  caller: Caller,
  request: RefundPaymentRequest,
): Promise<MessageInitShape<typeof RefundPaymentResponseSchema>> {
  const key = idempotencyKey(RefundPaymentRequestSchema, request);
  const isSameKey = ({ requestId, userId }: Refund): boolean =>
    key.requestId !== undefined && requestId === key.requestId && userId === caller.id;
  let refund: Refund | undefined;
  const payment = await update(payments, request.orderId, (found) => {
    const role = roleOf(caller, found);
    if (!role) throw paymentNotFound();
    refund = found.refunds.find(isSameKey);
    if (refund) {
      mustBeSameRequest(refund, key);
      return false;
    }
    const isPart = request.amount !== undefined;
    mustBeRefundable(found, role, { isPart, now: now(), holdDays });
    const amount = amountOf(found, role, request);
    const begun = requestRefund(found, { reason: role, amount, userId: caller.id, ...key }, now());
    if (begun) refund = found.refunds.at(-1);
    return begun;
  });
  if (!payment || !refund) throw paymentNotFound();
  return { refund: toRefundMessage(payment, refund) };
}
