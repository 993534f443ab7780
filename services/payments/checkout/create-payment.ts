import Stripe from "stripe";
import type { CreatePaymentRequest } from "@ticketing/proto/payments/v1/payment_service";
import { update } from "#runtime/store/aggregate.ts";
import { CallError } from "#runtime/errors.ts";
import { PaymentError } from "../errors.ts";
import { retryDelayMs, isRecentId } from "#runtime/store/ids.ts";
import { toMinor } from "#runtime/money.ts";
import { mustBeSameRequest, type IdempotencyKey } from "#runtime/store/request-id.ts";
import { attachIntent, beginAttempt } from "../settlement/attempt.ts";
import type { CardLimits, Payer } from "./card-limits.ts";
import { createIntent, isOurMistake, outcomeFrom } from "../stripe/payment-intent.ts";
import { ABANDONED, CANCELED } from "../stripe/outcome.ts";
import {
  isOpen,
  CAPTURED_STATUSES,
  newestAttempt,
  type Attempt,
  type Payment,
  type PaymentFields,
} from "../payment.ts";
import {
  cancelIntent,
  closeAttempt,
  recordProviderState,
  settlePayment,
} from "../settlement/settlement.ts";
import type { PaymentDeps } from "../deps.ts";
import { notReady } from "../stripe/client.ts";

/** No hold is longer: the greatest ORDER_HOLD_SECONDS and HOLD_EXTENSION_SECONDS together. */
const LONGEST_HOLD_MS = (86_400 + 1_800) * 1_000;
/** With less than this left, an authorization would come too late. */
const LAST_MOMENT_MS = 5_000;
/** Whoever tries more cards for one order is trying whether they are any good. */
const MOST_ATTEMPTS = 20;

/** What paying needs, beside what settling does. */
export interface CheckoutDeps extends PaymentDeps {
  /** Where people see the storefront: the bank's page leads back there. */
  publicUrl: string;
  /** With what may be paid, in Stripe's words. */
  methodTypes: string[];
  cards: CardLimits;
}

/** Codes of attempts that say nothing about their card. */
const INCONCLUSIVE: ReadonlySet<string> = new Set([ABANDONED.code, CANCELED.code]);

const laterMs = (retryAfterMs: number) => ({ retryAfterMs });

/** The payment of the caller's order, as far as we have heard of it. */
async function findPayment(
  { payments, now }: PaymentDeps,
  userId: string,
  orderId: string,
): Promise<Payment> {
  const payment = await payments.findById(orderId);
  if (payment?.order.userId === userId) return payment;
  // As long as the order may be there to be paid, its news may still be on the way.
  if (!payment && isRecentId(orderId, now(), LONGEST_HOLD_MS)) {
    throw new CallError(
      "NOT_READY",
      "payments has not heard of this order yet; try again in a moment",
      laterMs(retryDelayMs(orderId, now())),
    );
  }
  throw new PaymentError("ORDER_NOT_FOUND", "you have no such order");
}

function mustBePayable({ order }: PaymentFields, now: number): void {
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
  if (order.expiresAt.getTime() - now <= LAST_MOMENT_MS) {
    throw new PaymentError("ORDER_EXPIRED", "there is not enough time left to pay");
  }
}

function mustAgree({ order }: PaymentFields, { amount }: CreatePaymentRequest): void {
  if (!amount) return;
  const agreed = toMinor(amount, "amount");
  if (agreed.amount !== order.price || agreed.currency !== order.currency) {
    throw new PaymentError("AMOUNT_MISMATCH", "this is not the amount due");
  }
}

/** Whether nothing can come of the attempts before, so that a new one may begin. */
function mustBeClear({ attempts }: PaymentFields): void {
  if (attempts.length >= MOST_ATTEMPTS) {
    throw new PaymentError("TOO_MANY_CARDS", "too many cards were tried for this order");
  }
  const last = attempts.at(-1);
  if (last && last.status !== "FAILED") {
    throw new PaymentError("PAYMENT_IN_PROGRESS", "this order is being paid", laterMs(1_000));
  }
}

/** An attempt that waits for its buyer stands in nobody's way: they are paying anew. */
async function cancelOpenAttempt(deps: PaymentDeps, payment: Payment): Promise<void> {
  if (!isOpen(payment)) return;
  await settlePayment(deps, payment._id, true); // It may have got further, or be nobody's any more.
  const now = (await deps.payments.findById(payment._id)) ?? payment;
  const attempt = newestAttempt(now);
  if (attempt?.status === "REQUIRES_ACTION") await cancelIntent(deps, now, attempt);
}

/**
 * Reserves the order's price: the attempt is written first, then an intent that cannot take money,
 * then it is confirmed. Wherever a crash comes, either nothing was confirmed or the intent is known.
 */
async function authorizeAt(
  deps: CheckoutDeps,
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
    throw notReady();
  }
  const key = { idempotencyKey: `${_id}:confirm` };
  // With an address to come back to, Stripe answers with that of the bank's page.
  const back = { return_url: `${deps.publicUrl}/orders/${payment._id}` };
  return recordProviderState(
    deps,
    payment._id,
    _id,
    await stripe.paymentIntents.confirm(intent.id, back, key),
  );
}

/** As `authorizeAt`; an answer that says no, or does not come, ends the attempt. */
async function makeAttempt(
  deps: CheckoutDeps,
  payment: Payment,
  begun: Attempt,
  token: string,
): Promise<Payment> {
  const { log } = deps;
  const orderId = payment._id;
  try {
    return await authorizeAt(deps, payment, begun, token);
  } catch (error) {
    const outcome = outcomeFrom(error);
    if (outcome === ABANDONED && error instanceof Stripe.errors.StripeError) {
      const { type, code, param } = error;
      const alarm = isOurMistake(error);
      const words = { orderId, type, code, param, ...(alarm && { alarm }) };
      log[alarm ? "error" : "warn"](words, "stripe did not answer as it should");
    }
    const after = await closeAttempt(deps, orderId, begun._id, outcome);
    const isUnknown = attemptOf(after, begun._id)?.failureCode === ABANDONED.code;
    if (isUnknown && after.order.status !== "CANCELLED") throw error;
    return after;
  }
}

const attemptOf = ({ attempts }: PaymentFields, id: string): Attempt | undefined =>
  attempts.find(({ _id }) => _id === id);

/** The card was refused; whoever has tried too many is not told why. */
function refuseCard({ declined, failureCode: code = "", terse }: Attempt): never {
  const metadata = terse ? {} : { code };
  if (declined) {
    const words = "the card was declined, and the order is cancelled";
    throw new PaymentError("PAYMENT_DECLINED", words, { metadata });
  }
  const words = "the card could not be used; check it and try again";
  throw new PaymentError("PAYMENT_METHOD_REFUSED", words, { metadata });
}

/** What became of an attempt: the same to whoever made the request, and to whoever repeats it. */
function resultOf(payment: Payment, attemptId: string, now: number): Payment {
  const made = attemptOf(payment, attemptId);
  const { status, failureCode = "" } = made ?? {};
  if (made && status === "FAILED" && !INCONCLUSIVE.has(failureCode)) refuseCard(made);
  const hasTaken = CAPTURED_STATUSES.includes(status ?? "PENDING") || status === "REFUNDED";
  if (payment.order.status === "CANCELLED" && !hasTaken) mustBePayable(payment, now);
  if (!made || status !== "FAILED") return payment;
  if (failureCode === ABANDONED.code) throw notReady();
  return refuseCard(made);
}

/** Makes an attempt that was begun, and counts what it has found out about the card. */
async function chargeCard(
  deps: CheckoutDeps,
  payer: Payer,
  payment: Payment,
  begun: Attempt,
  token: string,
): Promise<Payment> {
  const { cards, now } = deps;
  let status: Attempt["status"] | undefined;
  try {
    const after = await makeAttempt(deps, payment, begun, token);
    const made = attemptOf(after, begun._id);
    if (!INCONCLUSIVE.has(made?.failureCode ?? "")) status = made?.status;
    return resultOf(after, begun._id, now());
  } finally {
    if (status === "FAILED") await cards.countRefusal(payer);
    // A buyer who has yet to answer their bank has shown nothing.
    else if (status !== "REQUIRES_ACTION" && status !== "PENDING")
      await cards.uncountAttempt(payer);
  }
}

/** Pays an order, as far as its authorization (R60). */
export async function createPayment(
  deps: CheckoutDeps,
  payer: Payer,
  request: CreatePaymentRequest,
  mark: Partial<IdempotencyKey>,
): Promise<Payment> {
  const { orderId, token } = request;
  const { cards, now } = deps;
  const madeIn = ({ attempts }: PaymentFields): Attempt | undefined =>
    mark.requestId ? attempts.find(({ requestId }) => requestId === mark.requestId) : undefined;

  const found = await findPayment(deps, payer.userId, orderId);
  let isTerse = false;
  const isNew = !madeIn(found);
  if (isNew) {
    mustAgree(found, request);
    mustBePayable(found, now());
    ({ isTerse } = await cards.countAttempt(payer));
    await cancelOpenAttempt(deps, found);
  }
  let begun: Attempt | undefined;
  const begin = (payment: Payment): boolean => {
    begun = undefined; // Of a round that was lost.
    const made = madeIn(payment);
    if (made) {
      mustBeSameRequest(made, mark);
      return false;
    }
    mustBePayable(payment, now());
    mustBeClear(payment);
    begun = beginAttempt(payment, { ...mark, ...(isTerse && { terse: true }) }, now());
    return true;
  };
  const payment = await update(deps.payments, orderId, begin).finally(
    () => isNew && !begun && cards.uncountAttempt(payer),
  );
  if (payment && begun) return chargeCard(deps, payer, payment, begun, token);
  const made = payment && madeIn(payment);
  await settlePayment(deps, orderId, true);
  return resultOf(await findPayment(deps, payer.userId, orderId), made?._id ?? "", now());
}
