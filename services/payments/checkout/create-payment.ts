import {
  CreatePaymentRequestSchema,
  type CreatePaymentRequest,
} from "@ticketing/proto/payments/v1/payment_service";
import { update } from "#runtime/store/aggregate.ts";
import {
  idempotencyKey,
  mustBeSameRequest,
  type IdempotencyKey,
} from "#runtime/store/request-id.ts";
import type { PaymentDeps } from "../deps.ts";
import { findAttempt } from "../payment.ts";
import {
  isOpen,
  newestAttempt,
  type Attempt,
  type Payment,
  type PaymentFields,
} from "../payment.ts";
import { beginAttempt } from "../settlement/attempt.ts";
import { cancelIntent } from "../settlement/provider-state.ts";
import { settlePayment } from "../settlement/settlement.ts";
import { INCONCLUSIVE, resultOf } from "./attempt-result.ts";
import { authorizeAttempt, type AuthorizationDeps } from "./authorization.ts";
import type { CardLimits, Payer } from "./card-limits.ts";
import { findPayment, mustAllowNewAttempt, mustBePayable, mustMatchPrice } from "./payable.ts";

export interface CheckoutDeps extends AuthorizationDeps {
  cards: CardLimits;
}

/** Cancels an attempt that waits for its buyer, because a new attempt replaces it. */
async function cancelOpenAttempt(deps: PaymentDeps, payment: Payment): Promise<void> {
  if (!isOpen(payment)) return;
  await settlePayment(deps, payment._id, true); // It may have progressed, or been abandoned.
  const now = (await deps.payments.findById(payment._id)) ?? payment;
  const attempt = newestAttempt(now);
  if (attempt?.status === "REQUIRES_ACTION") await cancelIntent(deps, now, attempt);
}

/** The attempt that an earlier request with this idempotency key made. */
const attemptOf = (
  { attempts }: PaymentFields,
  { requestId }: Partial<IdempotencyKey>,
): Attempt | undefined =>
  requestId ? attempts.find((attempt) => attempt.requestId === requestId) : undefined;

/** Stores a new attempt, unless an earlier request with the same key has made one. */
async function storeAttempt(
  { payments, now }: CheckoutDeps,
  known: string | Payment,
  key: Partial<IdempotencyKey>,
  isTerse: boolean,
): Promise<{ payment: Payment | undefined; begun: Attempt | undefined }> {
  let begun: Attempt | undefined;
  const payment = await update(payments, known, (found) => {
    begun = undefined; // From a round that lost the race.
    const existing = attemptOf(found, key);
    if (existing) {
      mustBeSameRequest(existing, key);
      return false;
    }
    mustBePayable(found, now());
    mustAllowNewAttempt(found);
    begun = beginAttempt(found, { ...key, ...(isTerse && { terse: true }) }, now());
    return true;
  });
  return { payment, begun };
}

/** Authorizes a new attempt, and counts for the card limits what it found out about the card. */
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
    const after = await authorizeAttempt(deps, payment, begun, token);
    const made = findAttempt(after, begun._id);
    if (!INCONCLUSIVE.has(made?.failureCode ?? "")) status = made?.status;
    return resultOf(after, begun._id, now());
  } finally {
    if (status === "FAILED") await cards.countRefusal(payer);
    // While the buyer has yet to answer their bank, nothing is known about the card.
    else if (status !== "REQUIRES_ACTION" && status !== "PENDING")
      await cards.uncountAttempt(payer);
  }
}

/** Pays an order, up to its authorization (R60). The same request again has the same result. */
export async function createPayment(
  deps: CheckoutDeps,
  payer: Payer,
  request: CreatePaymentRequest,
): Promise<Payment> {
  const { orderId, token } = request;
  const { cards, now } = deps;
  const key = idempotencyKey(CreatePaymentRequestSchema, request);
  const found = await findPayment(deps, payer.userId, orderId);
  const isNew = !attemptOf(found, key);
  let isTerse = false;
  if (isNew) {
    mustMatchPrice(found, request);
    mustBePayable(found, now());
    ({ isTerse } = await cards.countAttempt(payer));
    await cancelOpenAttempt(deps, found);
  }
  let isBegun = false;
  try {
    // While an attempt was open, the payment may have changed since it was read.
    const known = isOpen(found) ? orderId : found;
    const { payment, begun } = await storeAttempt(deps, known, key, isTerse);
    isBegun = begun !== undefined;
    if (payment && begun) return await chargeCard(deps, payer, payment, begun, token);
    const made = payment && attemptOf(payment, key);
    await settlePayment(deps, orderId, true);
    return resultOf(await findPayment(deps, payer.userId, orderId), made?._id ?? "", now());
  } finally {
    if (isNew && !isBegun) await cards.uncountAttempt(payer);
  }
}
