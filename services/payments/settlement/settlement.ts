import type { PaymentDeps } from "../deps.ts";
import { isSuperfluous, newestAttempt, type Attempt, type Payment } from "../payment.ts";
import { settleRefunds } from "../refunds/refund-settlement.ts";
import { isCaptured } from "../refunds/refund-state.ts";
import { ABANDONED } from "../stripe/outcome.ts";
import { cancelIntent, captureIntent, closeAttempt, pollProvider } from "./provider-state.ts";

/** After this time, the call that began an attempt is no longer working on it. */
const LONGEST_CALL_MS = 60_000;

/** Finds out the state of an open attempt, and returns the payment after that. */
async function pollOpenAttempt(
  deps: PaymentDeps,
  payment: Payment,
  attempt: Attempt,
): Promise<Payment | undefined> {
  const { _id, stripeId, createTime } = attempt;
  if (deps.now() - createTime.getTime() >= LONGEST_CALL_MS) {
    return closeAttempt(deps, payment._id, _id, ABANDONED);
  }
  return stripeId ? pollProvider(deps, payment, attempt) : undefined;
}

/**
 * Takes the next step for the attempt's status. Returns the payment after it, or undefined where the
 * attempt cannot have changed.
 */
async function takeStep(
  deps: PaymentDeps,
  payment: Payment,
  attempt: Attempt,
  mayPoll: boolean,
): Promise<Payment | undefined> {
  const { order } = payment;
  const isOver = isSuperfluous(payment, attempt._id);
  const isAccepted = order.status !== "CREATED" && order.attemptId === attempt._id;
  switch (attempt.status) {
    case "PENDING":
    case "REQUIRES_ACTION":
      if (isOver && attempt.stripeId) return cancelIntent(deps, payment, attempt);
      return mayPoll ? pollOpenAttempt(deps, payment, attempt) : undefined;
    case "AUTHORIZED":
      if (isOver) return cancelIntent(deps, payment, attempt);
      if (isAccepted) return captureIntent(deps, payment, attempt);
      return mayPoll ? pollProvider(deps, payment, attempt) : undefined;
    case "CAPTURED":
    case "PARTLY_REFUNDED":
    case "REFUNDED":
      await settleRefunds(deps, payment, mayPoll);
      return undefined;
    default:
      return undefined;
  }
}

/**
 * Moves a payment one step closer to its final state, from any state that a crash, a webhook or an
 * event has left it in. It is idempotent and safe to call at any time: each step is a compare-and-set
 * on the payment, and is taken only if Stripe's own state allows it. Only the newest attempt matters,
 * because an attempt begins only after the one before it can take no money any more. `mayPoll` allows
 * it to poll Stripe; without it, only steps that are already decided are taken.
 */
export async function settlePayment(
  deps: PaymentDeps,
  orderId: string,
  mayPoll: boolean,
): Promise<void> {
  const payment = await deps.payments.findById(orderId);
  const attempt = payment && newestAttempt(payment);
  if (!attempt) return;
  const wasCaptured = isCaptured(payment);
  const after = await takeStep(deps, payment, attempt, mayPoll);
  // The poll may have found a capture that we did not know of; then its refunds matter as well.
  if (mayPoll && !wasCaptured && after && isCaptured(after)) {
    await settleRefunds(deps, after, true);
  }
}
