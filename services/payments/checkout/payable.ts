import type { CreatePaymentRequest } from "@ticketing/proto/payments/v1/payment_service";
import { CallError } from "#runtime/errors.ts";
import { isRecentId, retryDelayMs } from "#runtime/store/ids.ts";
import { toMinor } from "#runtime/values/money.ts";
import type { PaymentDeps } from "../deps.ts";
import { PaymentError } from "../errors.ts";
import type { Payment, PaymentFields } from "../payment.ts";

/** The longest hold: the greatest ORDER_HOLD_SECONDS plus the greatest HOLD_EXTENSION_SECONDS. */
const LONGEST_HOLD_MS = (86_400 + 1_800) * 1_000;
/** With less time than this left, an authorization would come too late. */
const MIN_TIME_LEFT_MS = 5_000;
/** A buyer who tries more cards than this for one order is probably testing stolen cards. */
const MAX_ATTEMPTS = 20;
const RETRY_WHILE_PAYING_MS = 1_000;

/** The payment of the caller's order, if this service knows the order. */
export async function findPayment(
  { payments, now }: PaymentDeps,
  userId: string,
  orderId: string,
): Promise<Payment> {
  const payment = await payments.findById(orderId);
  if (payment?.order.userId === userId) return payment;
  // While the order may still be open, its OrderCreated event may still be on the way.
  if (!payment && isRecentId(orderId, now(), LONGEST_HOLD_MS)) {
    throw new CallError(
      "NOT_READY",
      "payments has not heard of this order yet; try again in a moment",
      { retryAfterMs: retryDelayMs(orderId, now()) },
    );
  }
  throw new PaymentError("ORDER_NOT_FOUND", "you have no such order");
}

/** Refuses an order that cannot be paid now. */
export function mustBePayable({ order }: PaymentFields, now: number): void {
  if (order.status === "CANCELLED") {
    if (order.expired) throw new PaymentError("ORDER_EXPIRED", "the time to pay has run out");
    throw new PaymentError("ORDER_CANCELLED", "this order was cancelled");
  }
  if (order.status === "COMPLETED") throw new PaymentError("ALREADY_PAID", "this order is paid");
  if (order.status === "AWAITING_PAYMENT") {
    throw new PaymentError("PAYMENT_IN_PROGRESS", "this order is being paid");
  }
  if (order.eventTime && order.eventTime.getTime() <= now) {
    throw new PaymentError("EVENT_BEGUN", "the event has begun; nothing can be paid any more");
  }
  if (order.expiresAt.getTime() - now <= MIN_TIME_LEFT_MS) {
    throw new PaymentError("ORDER_EXPIRED", "there is not enough time left to pay");
  }
}

/** Refuses an agreed amount that is not the order's price. */
export function mustMatchPrice(
  { order }: PaymentFields,
  { amount }: Pick<CreatePaymentRequest, "amount">,
): void {
  if (!amount) return;
  const agreed = toMinor(amount, "amount");
  if (agreed.amount !== order.price || agreed.currency !== order.currency) {
    throw new PaymentError("AMOUNT_MISMATCH", "this is not the amount due");
  }
}

/** Refuses a new attempt while an earlier one may still take the money, or after too many attempts. */
export function mustAllowNewAttempt({ attempts }: PaymentFields): void {
  if (attempts.length >= MAX_ATTEMPTS) {
    throw new PaymentError("TOO_MANY_CARDS", "too many cards were tried for this order");
  }
  const last = attempts.at(-1);
  if (last && last.status !== "FAILED") {
    const details = { retryAfterMs: RETRY_WHILE_PAYING_MS };
    throw new PaymentError("PAYMENT_IN_PROGRESS", "this order is being paid", details);
  }
}
