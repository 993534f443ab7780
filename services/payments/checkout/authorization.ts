import Stripe from "stripe";
import { update } from "#runtime/store/aggregate.ts";
import type { PaymentDeps } from "../deps.ts";
import { findAttempt } from "../payment.ts";
import { type Attempt, type Payment } from "../payment.ts";
import { attachIntent } from "../settlement/attempt.ts";
import { closeAttempt, recordProviderState } from "../settlement/provider-state.ts";
import { notReady } from "../stripe/client.ts";
import { ABANDONED } from "../stripe/outcome.ts";
import { createIntent, isOurMistake, outcomeFrom } from "../stripe/payment-intent.ts";

/** What an authorization needs beside what settlement needs. */
export interface AuthorizationDeps extends PaymentDeps {
  /** The storefront's address: the bank's page leads back there. */
  publicUrl: string;
  /** The payment method types that buyers may use, by Stripe's names. */
  methodTypes: string[];
}

/**
 * Reserves the order's price. The attempt is already stored; then comes an intent that cannot take
 * money, then its id is stored, and only then it is confirmed. So a crash at any point leaves either
 * nothing confirmed or an intent that we know.
 */
async function confirmIntent(
  deps: AuthorizationDeps,
  payment: Payment,
  { _id }: Attempt,
  token: string,
): Promise<Payment> {
  const { payments, stripe } = deps;
  const intent = await createIntent(deps, payment, _id, token);
  let isAttached = false;
  const attached = await update(
    payments,
    payment,
    (now) => (isAttached = attachIntent(now, _id, intent.id)),
  );
  if (!attached || !isAttached) {
    // No other call knows this intent, so it can never be confirmed. Cancelling it only tidies up.
    await stripe.paymentIntents.cancel(intent.id).catch(() => undefined);
    throw notReady();
  }
  const options = { idempotencyKey: `${_id}:confirm` };
  // With a return URL, Stripe answers with the address of the bank's page.
  const params = { return_url: `${deps.publicUrl}/orders/${payment._id}` };
  const confirmed = await stripe.paymentIntents.confirm(intent.id, params, options);
  return recordProviderState(deps, attached, _id, confirmed);
}

function logStripeError({ log }: PaymentDeps, orderId: string, error: Stripe.errors.StripeError) {
  const { type, code, param } = error;
  if (isOurMistake(error)) {
    const about = { orderId, type, code, param, alarm: true };
    log.error(about, "Stripe rejects our request; check the API key and the request");
  } else log.warn({ orderId, type, code, param }, "Stripe gave no usable answer to a payment");
}

/** Authorizes an attempt. A decline, or an answer that does not come, closes the attempt. */
export async function authorizeAttempt(
  deps: AuthorizationDeps,
  payment: Payment,
  attempt: Attempt,
  token: string,
): Promise<Payment> {
  const orderId = payment._id;
  try {
    return await confirmIntent(deps, payment, attempt, token);
  } catch (error) {
    const outcome = outcomeFrom(error);
    if (outcome === ABANDONED && error instanceof Stripe.errors.StripeError) {
      logStripeError(deps, orderId, error);
    }
    const after = await closeAttempt(deps, orderId, attempt._id, outcome);
    const isUnknown = findAttempt(after, attempt._id)?.failureCode === ABANDONED.code;
    if (isUnknown && after.order.status !== "CANCELLED") throw error;
    return after;
  }
}
