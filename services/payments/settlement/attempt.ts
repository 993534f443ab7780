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

/** Begins an attempt, before the first call to Stripe. */
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

/** The attempt, if it is the newest one and a transition may start from its status. */
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

/** Attaches an unconfirmed intent, which cannot take money yet. */
export function attachIntent(payment: Payment, id: string, stripeId: string): boolean {
  const attempt = transitionFrom(payment, id, ["PENDING"]);
  if (!attempt || payment.order.status !== "CREATED") return false;
  attempt.stripeId = stripeId;
  touch(payment);
  return true;
}

/** The bank requires an action of the buyer (3-D Secure). */
export function requireAction(payment: Payment, id: string): boolean {
  const attempt = transitionFrom(payment, id, ["PENDING"]);
  if (!attempt) return false;
  attempt.status = "REQUIRES_ACTION";
  recordEvent(payment, events.PaymentActionRequiredSchema);
  return true;
}

/** The amount is authorized. Orders decides whether it is captured. */
export function authorize(payment: Payment, id: string): boolean {
  const attempt = transitionFrom(payment, id, ["PENDING", "REQUIRES_ACTION"]);
  if (!attempt) return false;
  attempt.status = "AUTHORIZED";
  recordEvent(payment, events.PaymentAuthorizedSchema);
  return true;
}

/** The money was captured. Our fee is `feeBps` basis points of it, and the rest is owed to the seller. */
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

/** The authorization was voided: its order has ended, or has accepted another attempt. */
export function voidAuthorization(payment: Payment, id: string): boolean {
  const attempt = transitionFrom(payment, id, ["AUTHORIZED"]);
  if (!attempt) return false;
  attempt.status = "VOIDED";
  recordEvent(payment, events.PaymentVoidedSchema);
  return true;
}

/**
 * The attempt captured no money, and cannot any more: its intent is canceled, or was never confirmed. A
 * hard decline, or an authorized amount that cannot be captured, ends the order.
 */
export function fail(payment: Payment, id: string, { kind, code }: Outcome): boolean {
  const attempt = transitionFrom(payment, id, LIVE_STATUSES);
  if (!attempt) return false;
  const declined = kind === "hard_decline";
  const final = declined || attempt.status === "AUTHORIZED";
  attempt.status = "FAILED";
  attempt.failureCode = code;
  if (declined) attempt.declined = true;
  // The request got no answer, so its idempotency key may be used again.
  if (code === ABANDONED.code)
    Object.assign(attempt, { requestId: undefined, requestHash: undefined });
  if (final) recordEvent(payment, events.ChargeFailedSchema);
  else touch(payment);
  return true;
}
