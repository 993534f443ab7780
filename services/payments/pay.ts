import Stripe from "stripe";
import type { CreatePaymentRequest } from "@ticketing/proto/payments/v1/payment_service";
import { update } from "#runtime/aggregate.ts";
import { DomainError } from "#runtime/errors.ts";
import { bornAt } from "#runtime/ids.ts";
import { toMinor } from "#runtime/money.ts";
import { mustBeSameRequest, type RequestMark } from "#runtime/request-id.ts";
import { outcomeOf, type Outcome } from "./outcome.ts";
import {
  attachIntent,
  beginAttempt,
  fail,
  newest,
  type Attempt,
  type Payment,
  type PaymentFields,
} from "./payment.ts";
import { note, settle, type SettleDeps } from "./settle.ts";

/** An order this young may be one that we have not heard of yet. */
const NEWS_TRAVELS_MS = 10_000;
/** With less than this left, an authorization would come too late. */
const LAST_MOMENT_MS = 5_000;

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

/** An older attempt that may still take money stands in the way of a new one. */
async function clearTheWay(deps: SettleDeps, payment: Payment): Promise<void> {
  const attempt = newest(payment);
  if (attempt?.status === "AUTHORIZED" || attempt?.status === "PENDING") {
    throw new DomainError("PAYMENT_IN_PROGRESS", "this order is being paid", laterMs(1000));
  }
  if (attempt?.status === "REQUIRES_ACTION" && attempt.stripeId) {
    const cancelled = await deps.stripe.paymentIntents.cancel(attempt.stripeId);
    await note(deps, payment._id, attempt._id, cancelled);
  }
}

/** A refusal in Stripe's words, in ours. */
function refused({ kind, code }: Outcome): DomainError {
  const metadata = { code };
  return kind === "decline"
    ? new DomainError("PAYMENT_DECLINED", "the card was declined, and the order is cancelled", {
        metadata,
      })
    : new DomainError(
        "PAYMENT_METHOD_REFUSED",
        "the card could not be used; check it and try again",
        {
          metadata,
        },
      );
}

/** What a call to Stripe says about the card, or undefined where it says nothing about it. */
function judge(error: unknown): Outcome | undefined {
  if (error instanceof Stripe.errors.StripeCardError) {
    return outcomeOf(error.code, error.decline_code);
  }
  const invalid = error instanceof Stripe.errors.StripeInvalidRequestError;
  return invalid ? { kind: "slip", code: error.code ?? "invalid_request" } : undefined;
}

const method = (token: string): Partial<Stripe.PaymentIntentCreateParams> =>
  token.startsWith("tok_")
    ? { payment_method_data: { type: "card", card: { token } } as never }
    : { payment_method: token };

/** An intent that cannot take money yet, tied to its attempt by its metadata and its key. */
const createIntent = (
  { stripe }: SettleDeps,
  { _id: orderId, order }: PaymentFields,
  attemptId: string,
  token: string,
): Promise<Stripe.PaymentIntent> =>
  stripe.paymentIntents.create(
    {
      amount: order.price,
      currency: order.currency.toLowerCase(),
      capture_method: "manual",
      allowed_payment_method_types: ["card"],
      description: order.title.slice(0, 200),
      metadata: { order_id: orderId, attempt_id: attemptId },
      ...method(token),
    },
    { idempotencyKey: attemptId },
  );

/**
 * Reserves the order's price: the attempt is written first, then an intent that cannot take money,
 * then it is confirmed. Wherever a crash comes, either nothing was confirmed or the intent is known.
 */
async function authorizeAt(deps: SettleDeps, payment: Payment, attempt: Attempt, token: string) {
  const { payments, stripe } = deps;
  const id = attempt._id;
  const intent = await createIntent(deps, payment, id, token);
  let attached = false;
  const found = await update(
    payments,
    payment._id,
    (now) => (attached = attachIntent(now, id, intent.id)),
  );
  if (!attached) {
    await stripe.paymentIntents.cancel(intent.id);
    mustBePayable(found ?? payment, deps.now());
    throw new DomainError("PAYMENT_IN_PROGRESS", "this order is being paid", laterMs(1000));
  }
  const confirmed = await stripe.paymentIntents.confirm(
    intent.id,
    {},
    { idempotencyKey: `${id}:confirm` },
  );
  return { payment: await note(deps, payment._id, id, confirmed), intent: confirmed };
}

/** Ends an attempt that the card, or the request, has refused. */
async function refuse(
  deps: SettleDeps,
  orderId: string,
  attemptId: string,
  outcome: Outcome,
): Promise<void> {
  const payment = await update(deps.payments, orderId, (found) => fail(found, attemptId, outcome));
  const stripeId = payment?.attempts.find(({ _id }) => _id === attemptId)?.stripeId;
  // So that nobody can go on with it behind our back; where this fails it is still unconfirmed.
  if (stripeId) await deps.stripe.paymentIntents.cancel(stripeId).catch(() => undefined);
}

/** Pays an order, as far as its authorization (R60); the client secret is for the bank's page. */
export async function pay(
  deps: SettleDeps,
  userId: string,
  request: CreatePaymentRequest,
  mark: Partial<RequestMark>,
): Promise<{ payment: Payment; clientSecret: string }> {
  const { orderId, token } = request;
  let payment = await find(deps, userId, orderId);
  const made = mark.requestId
    ? payment.attempts.find(({ requestId }) => requestId === mark.requestId)
    : undefined;
  if (made) {
    mustBeSameRequest(made, mark);
    await settle(deps, orderId, true);
    return { payment: await find(deps, userId, orderId), clientSecret: "" };
  }
  mustAgree(payment, request);
  mustBePayable(payment, deps.now());
  await clearTheWay(deps, payment);

  let attempt: Attempt | undefined;
  payment =
    (await update(deps.payments, orderId, (found) => {
      mustBePayable(found, deps.now());
      attempt = beginAttempt(found, mark);
    })) ?? payment;
  if (!attempt) throw new Error(`no payment of order ${orderId}`);
  try {
    const authorized = await authorizeAt(deps, payment, attempt, token);
    const asked = authorized.intent.status === "requires_action";
    return {
      payment: authorized.payment,
      clientSecret: asked ? (authorized.intent.client_secret ?? "") : "",
    };
  } catch (error) {
    const outcome = judge(error);
    if (!outcome) throw unknown(error, deps, orderId);
    await refuse(deps, orderId, attempt._id, outcome);
    throw refused(outcome);
  }
}

/** An answer that did not come: the reconciler finds out; the same request again gets what it found. */
function unknown(error: unknown, { log }: SettleDeps, orderId: string): unknown {
  if (!(error instanceof Stripe.errors.StripeError)) return error;
  log.warn({ orderId, type: error.type, code: error.code }, "stripe did not answer as it should");
  const message = "the bank has not answered yet; ask again in a moment";
  return new DomainError("NOT_READY", message, laterMs(2000), { cause: error });
}
