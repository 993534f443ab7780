import type Stripe from "stripe";
import { update } from "#runtime/store/aggregate.ts";
import { authorize, capture, fail, voidAuthorization, requireAction } from "./attempt.ts";
import { settleRefunds } from "../refunds/refund-settlement.ts";
import { ABANDONED, CANCELED, outcomeOf, type Outcome } from "../stripe/outcome.ts";
import {
  isSuperfluous,
  newestAttempt,
  type Attempt,
  type Payment,
  type PaymentFields,
} from "../payment.ts";
import { isCaptured } from "../refunds/refund.ts";
import type { PaymentDeps } from "../deps.ts";
import { notReady } from "../stripe/client.ts";

/** So long an attempt may be in the hands of the call that began it. */
const IN_HAND_MS = 60_000;

/** Writes down what Stripe says of an attempt's intent; a state that is known already changes nothing. */
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
 * Stores what Stripe says of an attempt; answers the payment as it is then. An intent whose card was
 * refused is cancelled first: while it lives, its buyer could go on with it behind our back.
 */
export async function recordProviderState(
  deps: PaymentDeps,
  orderId: string,
  attemptId: string,
  { id, status, last_payment_error: error }: Stripe.PaymentIntent,
  otherwise: Outcome = CANCELED,
): Promise<Payment> {
  const last =
    status === "requires_payment_method" ? (await cancelAtStripe(deps, id)).status : status;
  const outcome = error ? outcomeOf(error.code, error.decline_code) : otherwise;
  const payment = await update(deps.payments, orderId, (found) =>
    applyProviderState(found, attemptId, last, outcome, deps.feeBps),
  );
  if (!payment) throw new Error(`no payment of order ${orderId}`);
  return payment;
}

/** Does something to an intent, and answers how the intent is afterwards, whatever the call said. */
async function callOrFetch(
  { stripe }: PaymentDeps,
  stripeId: string,
  act: () => Promise<Stripe.PaymentIntent>,
): Promise<Stripe.PaymentIntent> {
  try {
    return await act();
  } catch {
    // A refusal and a lost answer look alike from here: only the intent knows what happened.
    return stripe.paymentIntents.retrieve(stripeId);
  }
}

/** Cancels an intent, so that nothing can come of it any more, unless it has taken the money already. */
async function cancelAtStripe(deps: PaymentDeps, stripeId: string): Promise<Stripe.PaymentIntent> {
  const { paymentIntents } = deps.stripe;
  const intent = await callOrFetch(deps, stripeId, () => paymentIntents.cancel(stripeId));
  if (intent.status !== "canceled" && intent.status !== "succeeded") throw notReady();
  return intent;
}

/** Gives up what an attempt has with Stripe: a new one takes its place, or its order has ended. */
export async function cancelIntent(
  deps: PaymentDeps,
  { _id: orderId }: PaymentFields,
  { _id, stripeId = "" }: Attempt,
): Promise<Payment> {
  return recordProviderState(deps, orderId, _id, await cancelAtStripe(deps, stripeId));
}

/** Takes what was reserved; Stripe makes of a repeat nothing, because an intent is captured once. */
async function captureIntent(
  deps: PaymentDeps,
  { _id: orderId }: PaymentFields,
  { _id, stripeId = "" }: Attempt,
): Promise<void> {
  const { paymentIntents } = deps.stripe;
  const intent = await callOrFetch(deps, stripeId, () => paymentIntents.capture(stripeId));
  if (intent.status === "requires_capture") throw notReady();
  await recordProviderState(deps, orderId, _id, intent);
}

/**
 * Ends an attempt that nobody goes on with: it has failed as `outcome` says, unless Stripe knows that
 * it got further.
 */
export async function closeAttempt(
  deps: PaymentDeps,
  orderId: string,
  attemptId: string,
  outcome: Outcome,
): Promise<Payment> {
  const { payments, stripe } = deps;
  // Without an intent nothing was confirmed, so nothing can have been taken.
  const payment = await update(
    payments,
    orderId,
    (found) => !newestAttempt(found)?.stripeId && fail(found, attemptId, outcome),
  );
  if (!payment) throw new Error(`no payment of order ${orderId}`);
  const attempt = newestAttempt(payment);
  if (attempt?._id !== attemptId || !attempt.stripeId) return payment;
  const intent = await stripe.paymentIntents.retrieve(attempt.stripeId);
  const last =
    intent.status === "requires_confirmation" ? await cancelAtStripe(deps, intent.id) : intent;
  return recordProviderState(deps, orderId, attemptId, last, outcome);
}

/** Stores what Stripe says of an attempt now; somebody may have settled it by hand. */
async function pollProvider(
  deps: PaymentDeps,
  { _id: orderId }: PaymentFields,
  { _id, stripeId = "" }: Attempt,
): Promise<void> {
  await recordProviderState(
    deps,
    orderId,
    _id,
    await deps.stripe.paymentIntents.retrieve(stripeId),
  );
}

/** Finds out what became of an attempt that is open. */
async function pollOpenAttempt(
  deps: PaymentDeps,
  payment: PaymentFields,
  attempt: Attempt,
): Promise<void> {
  const { _id, stripeId, createTime } = attempt;
  if (deps.now() - createTime.getTime() >= IN_HAND_MS) {
    await closeAttempt(deps, payment._id, _id, ABANDONED);
  } else if (stripeId) {
    await pollProvider(deps, payment, attempt);
  }
}

/** Takes the step that an attempt's status calls for. */
async function takeStep(
  deps: PaymentDeps,
  payment: PaymentFields,
  attempt: Attempt,
  ask: boolean,
): Promise<void> {
  const { order } = payment;
  const isOver = isSuperfluous(payment, attempt._id);
  const accepted = order.status !== "CREATED" && order.attemptId === attempt._id;
  switch (attempt.status) {
    case "PENDING":
    case "REQUIRES_ACTION":
      if (isOver && attempt.stripeId) await cancelIntent(deps, payment, attempt);
      else if (ask) await pollOpenAttempt(deps, payment, attempt);
      return;
    case "AUTHORIZED":
      if (isOver) await cancelIntent(deps, payment, attempt);
      else if (accepted) await captureIntent(deps, payment, attempt);
      else if (ask) await pollProvider(deps, payment, attempt);
      return;
    case "CAPTURED":
    case "PARTLY_REFUNDED":
    case "REFUNDED":
      await settleRefunds(deps, payment, ask);
      return;
    default:
      return;
  }
}

/**
 * Brings a payment one step nearer to its end, from whatever state a crash, a webhook or an event
 * has left it in. It may be called at any time and any number of times: each step is a
 * compare-and-set on the payment, and is taken only if Stripe's own state allows it. Only the newest
 * attempt counts: none begins before nothing can come of the one before it. While an attempt is in
 * the hands of the call that began it, Stripe is asked only where the caller has a reason to.
 */
export async function settlePayment(
  deps: PaymentDeps,
  orderId: string,
  ask: boolean,
): Promise<void> {
  const payment = await deps.payments.findById(orderId);
  const attempt = payment && newestAttempt(payment);
  if (!attempt) return;
  const before = attempt.status;
  await takeStep(deps, payment, attempt, ask);
  if (!ask || isCaptured(payment)) return;
  // The reason to ask may be what became of money that we did not know to be taken.
  const now = await deps.payments.findById(orderId);
  if (now && newestAttempt(now)?.status !== before && isCaptured(now))
    await settleRefunds(deps, now, true);
}
