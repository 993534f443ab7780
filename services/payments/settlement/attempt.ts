import * as events from "@ticketing/proto/payments/v1/payment_events";
import { record, touch } from "#runtime/store/aggregate.ts";
import { newId } from "#runtime/store/ids.ts";
import type { IdempotencyKey } from "#runtime/store/request-id.ts";
import { feeOf, salePosting } from "../ledger.ts";
import { ABANDONED, type Outcome } from "../stripe/outcome.ts";
import { toMessage } from "../payment-message.ts";
import {
  LIVE_STATUSES,
  newestAttempt,
  type Attempt,
  type AttemptStatus,
  type Payment,
} from "../payment.ts";

/** Begins an attempt; nothing has been asked of Stripe yet. */
export function beginAttempt(
  payment: Payment,
  more: Partial<IdempotencyKey> & Pick<Attempt, "terse">,
  now: number,
): Attempt {
  const begun: Attempt = { _id: newId(), status: "PENDING", createTime: new Date(now), ...more };
  payment.attempts.push(begun);
  touch(payment);
  return begun;
}

/** The attempt, if it is the newest one and in one of these statuses: what a transition starts from. */
function transitionFrom(
  payment: Payment,
  id: string,
  statuses: readonly AttemptStatus[],
): Attempt | undefined {
  const attempt = newestAttempt(payment);
  return attempt?._id === id && statuses.includes(attempt.status) ? attempt : undefined;
}

const recordEvent = (
  payment: Payment,
  schema:
    | typeof events.PaymentActionRequiredSchema
    | typeof events.PaymentAuthorizedSchema
    | typeof events.PaymentVoidedSchema
    | typeof events.ChargeCreatedSchema
    | typeof events.ChargeFailedSchema,
): void => record(payment, schema, () => ({ payment: toMessage(payment) }));

/** Stripe has an unconfirmed intent for the attempt, which cannot take money yet. */
export function attachIntent(payment: Payment, id: string, stripeId: string): boolean {
  const attempt = transitionFrom(payment, id, ["PENDING"]);
  if (!attempt || payment.order.status !== "CREATED") return false;
  attempt.stripeId = stripeId;
  touch(payment);
  return true;
}

/** The bank asks the buyer. */
export function requireAction(payment: Payment, id: string): boolean {
  const attempt = transitionFrom(payment, id, ["PENDING"]);
  if (!attempt) return false;
  attempt.status = "REQUIRES_ACTION";
  recordEvent(payment, events.PaymentActionRequiredSchema);
  return true;
}

/** The amount is reserved; whether it is taken, orders decides. */
export function authorize(payment: Payment, id: string): boolean {
  const attempt = transitionFrom(payment, id, ["PENDING", "REQUIRES_ACTION"]);
  if (!attempt) return false;
  attempt.status = "AUTHORIZED";
  recordEvent(payment, events.PaymentAuthorizedSchema);
  return true;
}

/** The money was taken; `feeBps` of it, in hundredths of a per cent, are ours, and the rest the seller's. */
export function capture(payment: Payment, id: string, feeBps: number): boolean {
  const attempt = transitionFrom(payment, id, LIVE_STATUSES);
  if (!attempt) return false;
  attempt.status = "CAPTURED";
  const { price } = payment.order;
  const now = new Date();
  payment.captureTime = now;
  payment.fee = feeOf(price, feeBps);
  payment.postings.push(salePosting(id, now, price, payment.fee));
  recordEvent(payment, events.ChargeCreatedSchema);
  return true;
}

/** What was reserved is given up: its order has ended, or has accepted another attempt. */
export function voidAuthorization(payment: Payment, id: string): boolean {
  const attempt = transitionFrom(payment, id, ["AUTHORIZED"]);
  if (!attempt) return false;
  attempt.status = "VOIDED";
  recordEvent(payment, events.PaymentVoidedSchema);
  return true;
}

/**
 * The attempt took no money, and cannot any more: its intent is cancelled, or was never confirmed. A
 * decline, or a reserved amount that cannot be taken, ends the order.
 */
export function fail(payment: Payment, id: string, { kind, code }: Outcome): boolean {
  const attempt = transitionFrom(payment, id, LIVE_STATUSES);
  if (!attempt) return false;
  const declined = kind === "decline";
  const final = declined || attempt.status === "AUTHORIZED";
  attempt.status = "FAILED";
  attempt.failureCode = code;
  if (declined) attempt.declined = true;
  // The same request may be made again: it was not refused, it was not answered.
  if (code === ABANDONED.code)
    Object.assign(attempt, { requestId: undefined, requestHash: undefined });
  if (final) recordEvent(payment, events.ChargeFailedSchema);
  else touch(payment);
  return true;
}
