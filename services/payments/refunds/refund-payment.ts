import type { RefundPaymentRequest } from "@ticketing/proto/payments/v1/payment_service";
import { update } from "#runtime/store/aggregate.ts";
import type { Caller } from "#runtime/rpc/authentication.ts";
import { CallError, invalidField, type DomainError } from "#runtime/errors.ts";
import { PaymentError } from "../errors.ts";
import { toStripeAmount } from "#runtime/money.ts";
import { mustBeSameRequest, type IdempotencyKey } from "#runtime/store/request-id.ts";
import { newestAttempt, type Payment, type PaymentFields, type Refund } from "../payment.ts";
import { refundableAmount, requestRefund } from "./refund.ts";
import { mustBeRefundable, type Role } from "./refundability.ts";
import type { PaymentDeps } from "../deps.ts";

export interface RefundDeps extends PaymentDeps {
  /** So many days the money for a ticket without a date is held before it is paid out. */
  holdDays: number;
}

/** As whom somebody may see a payment; a seller is concerned only by money that was taken. */
export function roleOf({ id, roles }: Caller, payment: PaymentFields): Role | undefined {
  const { order, captureTime } = payment;
  if (!newestAttempt(payment)) return undefined;
  if (roles.includes("administrator")) return "ADMINISTRATOR";
  if (order.userId === id) return "BUYER";
  return order.sellerId === id && captureTime ? "SELLER" : undefined;
}

export const noSuchPayment = (): DomainError =>
  new PaymentError("PAYMENT_NOT_FOUND", "you have made no such payment");

/** How much, in minor units: all that is left, unless an administrator says so. */
function amountOf(payment: PaymentFields, role: Role, { amount }: RefundPaymentRequest): number {
  const most = refundableAmount(payment);
  if (!amount) return most;
  if (role !== "ADMINISTRATOR") {
    throw new CallError("NOT_ALLOWED", "only an administrator may give a part of it back");
  }
  const asked = toStripeAmount(amount, "amount");
  if (asked.currency !== payment.order.currency) {
    throw invalidField("amount.currency_code", `this was paid in ${payment.order.currency}`);
  }
  if (asked.amount < 1) throw invalidField("amount", "must be more than nothing");
  if (asked.amount > most) throw invalidField("amount", "must be no more than is left");
  return asked.amount;
}

/** Begins to give money back, for whoever may; answers the payment, and the refund that was begun. */
export async function refundPayment(
  { payments, now, holdDays }: RefundDeps,
  caller: Caller,
  request: RefundPaymentRequest,
  mark: Partial<IdempotencyKey>,
): Promise<{ payment: Payment; refund: Refund }> {
  const isMade = ({ requestId, userId }: Refund): boolean =>
    mark.requestId !== undefined && requestId === mark.requestId && userId === caller.id;
  let refund: Refund | undefined;
  const payment = await update(payments, request.orderId, (found) => {
    const role = roleOf(caller, found);
    if (!role) throw noSuchPayment();
    refund = found.refunds.find(isMade);
    if (refund) {
      mustBeSameRequest(refund, mark);
      return false;
    }
    const isPart = request.amount !== undefined;
    mustBeRefundable(found, role, { isPart, now: now(), holdDays });
    const amount = amountOf(found, role, request);
    const begun = requestRefund(found, { reason: role, amount, userId: caller.id, ...mark }, now());
    if (begun) refund = found.refunds.at(-1);
    return begun;
  });
  if (!payment || !refund) throw noSuchPayment();
  return { payment, refund };
}
