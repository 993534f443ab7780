import type Stripe from "stripe";
import { update } from "#runtime/aggregate.ts";
import type { Log } from "#runtime/log.ts";
import { outcomeOf } from "./outcome.ts";
import {
  authorize,
  capture,
  fail,
  giveBack,
  newest,
  release,
  requireAction,
  type Attempt,
  type Payment,
  type PaymentFields,
  type Payments,
} from "./payment.ts";

export interface SettleDeps {
  payments: Payments;
  stripe: Stripe;
  log: Log;
  now: () => number;
}

/** So long an attempt may be in the hands of the call that began it. */
const IN_HAND_MS = 60_000;

/** Writes down what Stripe says of an attempt's intent; a state that is known already changes nothing. */
function apply(payment: Payment, id: string, intent: Stripe.PaymentIntent): boolean {
  switch (intent.status) {
    case "requires_capture":
      return authorize(payment, id);
    case "succeeded":
      return capture(payment, id);
    case "requires_action":
      return requireAction(payment, id);
    case "canceled":
      return payment.order.status === "CANCELLED" && release(payment, id)
        ? true
        : fail(payment, id, { kind: "slip", code: "canceled" });
    case "requires_payment_method": {
      const error = intent.last_payment_error;
      return fail(payment, id, outcomeOf(error?.code, error?.decline_code));
    }
    default:
      return false; // Not confirmed yet, or still with the bank.
  }
}

/** Stores what Stripe says of an attempt; answers the payment as it is then. */
export async function note(
  { payments }: SettleDeps,
  orderId: string,
  attemptId: string,
  intent: Stripe.PaymentIntent,
): Promise<Payment> {
  const payment = await update(payments, orderId, (found) => apply(found, attemptId, intent));
  if (!payment) throw new Error(`no payment of order ${orderId}`);
  return payment;
}

/** Does something to an intent, and answers how the intent is afterwards, whatever the call said. */
async function attempted(
  { stripe }: SettleDeps,
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

/** Takes what was reserved; Stripe makes of a repeat nothing, because an intent is captured once. */
async function take(deps: SettleDeps, payment: PaymentFields, attempt: Attempt): Promise<void> {
  const stripeId = attempt.stripeId ?? "";
  const intents = deps.stripe.paymentIntents;
  const intent = await attempted(deps, stripeId, () => intents.capture(stripeId));
  if (intent.status === "requires_capture") throw new Error(`${stripeId} is not captured yet`);
  await note(deps, payment._id, attempt._id, intent);
}

/** Gives up an intent whose order has ended. One that took the money already is given back at once. */
async function giveUp(deps: SettleDeps, payment: PaymentFields, attempt: Attempt): Promise<void> {
  const { stripe, log } = deps;
  const stripeId = attempt.stripeId ?? "";
  const intent = await attempted(deps, stripeId, () => stripe.paymentIntents.cancel(stripeId));
  if (intent.status !== "canceled" && intent.status !== "succeeded") {
    throw new Error(`${stripeId} is not cancelled yet`);
  }
  await note(deps, payment._id, attempt._id, intent);
  if (intent.status === "succeeded") {
    log.error({ alarm: true, orderId: payment._id, stripeId }, "money taken for an ended order");
    await refund(deps, payment, attempt);
  }
}

async function refund(deps: SettleDeps, payment: PaymentFields, attempt: Attempt): Promise<void> {
  const { stripe, payments } = deps;
  const whole = { payment_intent: attempt.stripeId ?? "" };
  await stripe.refunds.create(whole, { idempotencyKey: `${attempt._id}:refund` });
  await update(payments, payment._id, (found) => giveBack(found, attempt._id));
}

async function settlePending(
  deps: SettleDeps,
  payment: PaymentFields,
  attempt: Attempt,
): Promise<void> {
  const { stripe, payments, now } = deps;
  const inHand = now() - attempt.createTime.getTime() < IN_HAND_MS;
  if (!attempt.stripeId) {
    // Nothing was confirmed, so nothing can have been taken.
    const abandoned = { kind: "slip", code: "abandoned" } as const;
    if (!inHand)
      await update(payments, payment._id, (found) => fail(found, attempt._id, abandoned));
    return;
  }
  const intent = await stripe.paymentIntents.retrieve(attempt.stripeId);
  if (intent.status === "requires_confirmation") {
    if (!inHand) await giveUp(deps, payment, attempt);
    return;
  }
  await note(deps, payment._id, attempt._id, intent);
}

/**
 * Brings a payment one step nearer to its end, from whatever state a crash, a webhook or an event
 * has left it in. It may be called at any time and any number of times: each step is a
 * compare-and-set on the payment, and is taken only if Stripe's own state allows it. While an attempt
 * is in the hands of the call that began it, Stripe is asked only where the caller has a reason to.
 */
export async function settle(deps: SettleDeps, orderId: string, ask: boolean): Promise<void> {
  const payment = await deps.payments.findById(orderId).lean<PaymentFields>();
  const attempt = payment && newest(payment);
  if (!attempt) return;
  const { order } = payment;
  const ended = order.status === "CANCELLED";
  const accepted = order.status !== "CREATED" && order.attemptId === attempt._id;
  switch (attempt.status) {
    case "PENDING":
    case "REQUIRES_ACTION":
      if (ended && attempt.stripeId) return giveUp(deps, payment, attempt);
      return ask ? settlePending(deps, payment, attempt) : undefined;
    case "AUTHORIZED":
      if (ended) return giveUp(deps, payment, attempt);
      return accepted ? take(deps, payment, attempt) : undefined;
    case "CAPTURED":
      return ended ? refund(deps, payment, attempt) : undefined;
    default:
      return;
  }
}
