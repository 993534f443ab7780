import Stripe from "stripe";
import type { CreatePaymentRequest } from "@ticketing/proto/payments/v1/payment_service";
import { update } from "#runtime/aggregate.ts";
import { DomainError } from "#runtime/errors.ts";
import { bornAt } from "#runtime/ids.ts";
import { toMinor } from "#runtime/money.ts";
import { mustBeSameRequest, type RequestMark } from "#runtime/request-id.ts";
import { ABANDONED, outcomeOf, type Outcome } from "./outcome.ts";
import { attachIntent, beginAttempt } from "./attempt.ts";
import { isOpen, newest, type Attempt, type Payment, type PaymentFields } from "./payment.ts";
import { giveUp, letGo, note, settle } from "./settle.ts";
import type { SettleDeps } from "./settle-deps.ts";
import { notYet } from "./stripe.ts";

/** An order this young may be one that we have not heard of yet. */
const NEWS_TRAVELS_MS = 10_000;
/** With less than this left, an authorization would come too late. */
const LAST_MOMENT_MS = 5_000;
/** Whoever tries more cards for one order is trying whether they are any good. */
const MOST_ATTEMPTS = 20;

/** What paying needs, beside what settling does. */
export interface PayDeps extends SettleDeps {
  /** Where people see the storefront: the bank's page leads back there. */
  publicUrl: string;
  /** With what may be paid, in Stripe's words. */
  methodTypes: string[];
}

const laterMs = (retryAfterMs: number) => ({ retryAfterMs });

/** The payment of the caller's order, as far as we have heard of it. */
async function find(
  { payments, now }: SettleDeps,
  userId: string,
  orderId: string,
): Promise<Payment> {
  const payment = await payments.findById(orderId);
  if (payment?.order.userId === userId) return payment;
  if (!payment && now() - bornAt(orderId) < NEWS_TRAVELS_MS) {
    throw new DomainError(
      "NOT_READY",
      "this order is very new; try again in a moment",
      laterMs(200),
    );
  }
  throw new DomainError("ORDER_NOT_FOUND", "you have no such order");
}

function mustBePayable({ order }: PaymentFields, now: number): void {
  if (order.status === "CANCELLED") {
    if (order.expired) throw new DomainError("ORDER_EXPIRED", "the time to pay has run out");
    throw new DomainError("ORDER_CANCELLED", "this order was cancelled");
  }
  if (order.status === "COMPLETED") throw new DomainError("ALREADY_PAID", "this order is paid");
  if (order.status === "AWAITING_PAYMENT") {
    throw new DomainError("PAYMENT_IN_PROGRESS", "this order is being paid");
  }
  if (order.expiresAt.getTime() - now <= LAST_MOMENT_MS) {
    throw new DomainError("ORDER_EXPIRED", "there is not enough time left to pay");
  }
}

function mustAgree({ order }: PaymentFields, { amount }: CreatePaymentRequest): void {
  if (!amount) return;
  const agreed = toMinor(amount, "amount");
  if (agreed.amount !== order.price || agreed.currency !== order.currency) {
    throw new DomainError("AMOUNT_MISMATCH", "this is not the amount due");
  }
}

/** Whether nothing can come of the attempts before, so that a new one may begin. */
function mustBeClear({ attempts }: PaymentFields): void {
  if (attempts.length >= MOST_ATTEMPTS) {
    throw new DomainError("TOO_MANY_ATTEMPTS", "too many cards were tried for this order");
  }
  const last = attempts.at(-1);
  if (last && last.status !== "FAILED") {
    throw new DomainError("PAYMENT_IN_PROGRESS", "this order is being paid", laterMs(1_000));
  }
}

/** An attempt that waits for its buyer stands in nobody's way: they are paying anew. */
async function clearTheWay(deps: SettleDeps, payment: Payment): Promise<void> {
  if (!isOpen(payment)) return;
  await settle(deps, payment._id, true); // It may have got further, or be nobody's any more.
  const now = (await deps.payments.findById(payment._id)) ?? payment;
  const attempt = newest(now);
  if (attempt?.status === "REQUIRES_ACTION") await giveUp(deps, now, attempt);
}

const ours = [
  Stripe.errors.StripeAuthenticationError,
  Stripe.errors.StripeInvalidRequestError,
  Stripe.errors.StripePermissionError,
];

/** What an error of Stripe's says about the card; that nothing came of the attempt, where it says nothing. */
function outcomeFrom(error: unknown): Outcome {
  if (error instanceof Stripe.errors.StripeCardError) {
    return outcomeOf(error.code, error.decline_code);
  }
  if (!(error instanceof Stripe.errors.StripeInvalidRequestError)) return ABANDONED;
  const { param, code } = error;
  const isAboutTheCard = /^(payment_method|token)/.test(param ?? code ?? "payment_method");
  return isAboutTheCard ? { kind: "slip", code: code ?? "invalid_request" } : ABANDONED;
}

const method = (token: string): Partial<Stripe.PaymentIntentCreateParams> =>
  token.startsWith("tok_")
    ? { payment_method_data: { type: "card", card: { token } } as never }
    : { payment_method: token };

/** An intent that cannot take money yet, tied to its attempt by its metadata and its key. */
const createIntent = (
  { stripe, methodTypes }: PayDeps,
  { _id: orderId, order }: PaymentFields,
  attemptId: string,
  token: string,
): Promise<Stripe.PaymentIntent> =>
  stripe.paymentIntents.create(
    {
      amount: order.price,
      currency: order.currency.toLowerCase(),
      capture_method: "manual",
      allowed_payment_method_types:
        methodTypes as Stripe.PaymentIntentCreateParams.AllowedPaymentMethodType[],
      description: order.title,
      metadata: { order_id: orderId, attempt_id: attemptId },
      ...method(token),
    },
    { idempotencyKey: attemptId },
  );

/**
 * Reserves the order's price: the attempt is written first, then an intent that cannot take money,
 * then it is confirmed. Wherever a crash comes, either nothing was confirmed or the intent is known.
 */
async function authorizeAt(
  deps: PayDeps,
  payment: Payment,
  { _id }: Attempt,
  token: string,
): Promise<Payment> {
  const { payments, stripe } = deps;
  const intent = await createIntent(deps, payment, _id, token);
  let attached = false;
  await update(payments, payment._id, (now) => (attached = attachIntent(now, _id, intent.id)));
  if (!attached) {
    // Nobody else knows it, so nobody will confirm it: cancelling it is only tidy.
    await stripe.paymentIntents.cancel(intent.id).catch(() => undefined);
    throw notYet();
  }
  const key = { idempotencyKey: `${_id}:confirm` };
  // With an address to come back to, Stripe answers with that of the bank's page.
  const back = { return_url: `${deps.publicUrl}/orders/${payment._id}` };
  return note(deps, payment._id, _id, await stripe.paymentIntents.confirm(intent.id, back, key));
}

/** As `authorizeAt`; an answer that says no, or does not come, ends the attempt. */
async function attempt(
  deps: PayDeps,
  payment: Payment,
  begun: Attempt,
  token: string,
): Promise<Payment> {
  const { log, now } = deps;
  const orderId = payment._id;
  let after: Payment;
  let problem: unknown;
  try {
    after = await authorizeAt(deps, payment, begun, token);
  } catch (error) {
    problem = error;
    const outcome = outcomeFrom(error);
    if (outcome === ABANDONED && error instanceof Stripe.errors.StripeError) {
      const { type, code, param } = error;
      const alarm = ours.some((mistake) => error instanceof mistake);
      const words = { orderId, type, code, param, ...(alarm && { alarm }) };
      log[alarm ? "error" : "warn"](words, "stripe did not answer as it should");
    }
    after = await letGo(deps, orderId, begun._id, outcome);
  }
  const ended = after.attempts.find(({ _id }) => _id === begun._id) ?? begun;
  const { status, declined, failureCode: code = "" } = ended;
  if (declined) {
    throw new DomainError("PAYMENT_DECLINED", "the card was declined, and the order is cancelled", {
      metadata: { code },
    });
  }
  if (after.order.status === "CANCELLED") mustBePayable(after, now());
  if (status !== "FAILED") return after;
  if (code === ABANDONED.code) throw problem ?? notYet();
  throw new DomainError(
    "PAYMENT_METHOD_REFUSED",
    "the card could not be used; check it and try again",
    { metadata: { code } },
  );
}

/** Pays an order, as far as its authorization (R60). */
export async function pay(
  deps: PayDeps,
  userId: string,
  request: CreatePaymentRequest,
  mark: Partial<RequestMark>,
): Promise<Payment> {
  const { orderId, token } = request;
  const madeIn = ({ attempts }: PaymentFields): Attempt | undefined =>
    mark.requestId ? attempts.find(({ requestId }) => requestId === mark.requestId) : undefined;

  const found = await find(deps, userId, orderId);
  if (!madeIn(found)) {
    mustAgree(found, request);
    mustBePayable(found, deps.now());
    await clearTheWay(deps, found);
  }
  let begun: Attempt | undefined;
  const payment = await update(deps.payments, orderId, (now) => {
    begun = undefined; // Of a round that was lost.
    const made = madeIn(now);
    if (made) {
      mustBeSameRequest(made, mark);
      return false;
    }
    mustBePayable(now, deps.now());
    mustBeClear(now);
    begun = beginAttempt(now, mark, deps.now());
    return true;
  });
  if (payment && begun) return attempt(deps, payment, begun, token);
  await settle(deps, orderId, true);
  return find(deps, userId, orderId);
}
