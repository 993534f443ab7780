import type Stripe from "stripe";
import { update } from "#runtime/store/aggregate.ts";
import type { PaymentDeps } from "../deps.ts";
import { isSuperfluous, newestAttempt, type Attempt, type Payment } from "../payment.ts";
import { notReady } from "../stripe/client.ts";
import { CANCELED, outcomeOf, type Outcome } from "../stripe/outcome.ts";
import { authorize, capture, fail, requireAction, voidAuthorization } from "./attempt.ts";

/** Applies the state of an attempt's intent at Stripe. A state that is already known changes nothing. */
function applyProviderState(
  payment: Payment,
  id: string,
  status: Stripe.PaymentIntent.Status,
  outcome: Outcome,
  feeBps: number,
): boolean {
  switch (status) {
    case "requires_capture":
      return authorize(payment, id);
    case "succeeded":
      return capture(payment, id, feeBps);
    case "requires_action":
      return requireAction(payment, id);
    case "canceled":
      return (
        (isSuperfluous(payment, id) && voidAuthorization(payment, id)) || fail(payment, id, outcome)
      );
    default:
      return false; // Not confirmed yet, or still with the bank.
  }
}

/**
 * Stores the state of an attempt's intent at Stripe, and returns the payment after the change. An
 * intent whose card was declined is canceled first: while it is open, its buyer could still confirm it
 * with another card. `known` is the payment as it was loaded, or the id of its order.
 */
export async function recordProviderState(
  deps: PaymentDeps,
  known: string | Payment,
  attemptId: string,
  { id, status, last_payment_error: error }: Stripe.PaymentIntent,
  otherwise: Outcome = CANCELED,
): Promise<Payment> {
  const isDeclined = status === "requires_payment_method";
  const finalStatus = isDeclined ? (await cancelAtStripe(deps, id)).status : status;
  const outcome = error ? outcomeOf(error.code, error.decline_code) : otherwise;
  const payment = await update(deps.payments, known, (found) =>
    applyProviderState(found, attemptId, finalStatus, outcome, deps.feeBps),
  );
  if (!payment) throw new Error(`no payment of intent ${id}`);
  return payment;
}

/** Calls Stripe to change an intent, and returns the intent after the call, even if the call fails. */
async function changeIntent(
  { stripe }: PaymentDeps,
  stripeId: string,
  call: () => Promise<Stripe.PaymentIntent>,
): Promise<Stripe.PaymentIntent> {
  try {
    return await call();
  } catch {
    // A refusal looks the same as a lost answer here. Only the intent shows what happened.
    return stripe.paymentIntents.retrieve(stripeId);
  }
}

/** Cancels an intent, so that it can take no money any more, unless it has already captured it. */
async function cancelAtStripe(deps: PaymentDeps, stripeId: string): Promise<Stripe.PaymentIntent> {
  const { paymentIntents } = deps.stripe;
  const intent = await changeIntent(deps, stripeId, () => paymentIntents.cancel(stripeId));
  if (intent.status !== "canceled" && intent.status !== "succeeded") throw notReady();
  return intent;
}

/** Cancels an attempt's intent: a new attempt replaces it, or its order has ended. */
export async function cancelIntent(
  deps: PaymentDeps,
  payment: Payment,
  { _id, stripeId = "" }: Attempt,
): Promise<Payment> {
  return recordProviderState(deps, payment, _id, await cancelAtStripe(deps, stripeId));
}

/** Captures the authorized money. A repeated call is harmless: Stripe captures an intent once. */
export async function captureIntent(
  deps: PaymentDeps,
  payment: Payment,
  { _id, stripeId = "" }: Attempt,
): Promise<Payment> {
  const { paymentIntents } = deps.stripe;
  const intent = await changeIntent(deps, stripeId, () => paymentIntents.capture(stripeId));
  if (intent.status === "requires_capture") throw notReady();
  return recordProviderState(deps, payment, _id, intent);
}

/**
 * Closes an attempt that no call is working on any more. It has failed with `outcome`, unless Stripe
 * shows that it got further.
 */
export async function closeAttempt(
  deps: PaymentDeps,
  orderId: string,
  attemptId: string,
  outcome: Outcome,
): Promise<Payment> {
  const { payments, stripe } = deps;
  // Without an intent nothing was confirmed, so no money can have been taken.
  const payment = await update(
    payments,
    orderId,
    (found) => !newestAttempt(found)?.stripeId && fail(found, attemptId, outcome),
  );
  if (!payment) throw new Error(`no payment of order ${orderId}`);
  const attempt = newestAttempt(payment);
  if (attempt?._id !== attemptId || !attempt.stripeId) return payment;
  const intent = await stripe.paymentIntents.retrieve(attempt.stripeId);
  const isUnconfirmed = intent.status === "requires_confirmation";
  const latest = isUnconfirmed ? await cancelAtStripe(deps, intent.id) : intent;
  return recordProviderState(deps, orderId, attemptId, latest, outcome);
}

/** Fetches an attempt's intent and stores its state, which may have changed in the Dashboard. */
export async function pollProvider(
  deps: PaymentDeps,
  payment: Payment,
  { _id, stripeId = "" }: Attempt,
): Promise<Payment> {
  const intent = await deps.stripe.paymentIntents.retrieve(stripeId);
  return recordProviderState(deps, payment, _id, intent);
}
