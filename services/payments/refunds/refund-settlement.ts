import Stripe from "stripe";
import { update } from "#runtime/store/aggregate.ts";
import { recordDispute } from "./dispute.ts";
import { newestAttempt, type Payment, type PaymentFields, type Refund } from "../payment.ts";
import {
  failRefund,
  isDisputed,
  isCaptured,
  isUnwantedCapture,
  refundableAmount,
  recordRefund,
  pendingRefund,
  incrementFaults,
  reconsiderRefund,
  requestRefund,
  type ProviderRefund,
} from "./refund.ts";
import type { PaymentDeps } from "../deps.ts";

/** What a person must look at, once what it follows from is stored. */
type Alarm = [about: object, words: string];

const toProviderRefund = (refund: Stripe.Refund): ProviderRefund => ({
  refundId: refund.metadata?.["refund_id"],
  stripeId: refund.id,
  amount: refund.amount,
  failed: refund.status === "failed" || refund.status === "canceled",
  createTime: new Date(refund.created * 1000),
});

/** Changes a payment, and answers how it is then. */
async function updatePayment(
  { payments, log }: PaymentDeps,
  orderId: string,
  by: (payment: Payment, alarms: Alarm[]) => boolean,
): Promise<Payment> {
  let alarms: Alarm[] = [];
  const payment = await update(payments, orderId, (found) => by(found, (alarms = [])));
  if (!payment) throw new Error(`no payment of order ${orderId}`);
  for (const [about, words] of alarms) log.error({ alarm: true, orderId, ...about }, words);
  return payment;
}

function recordRefunds(payment: Payment, refunds: Stripe.Refund[], alarms: Alarm[]): boolean {
  const news = refunds.map(toProviderRefund).filter((refund) => recordRefund(payment, refund));
  for (const { failed, stripeId } of news) {
    if (failed) alarms.push([{ stripeId }, "a refund came to nothing; look at Stripe"]);
  }
  return news.length > 0;
}

function recordDisputes(payment: Payment, disputes: Stripe.Dispute[], alarms: Alarm[]): boolean {
  const known = payment.dispute?._id;
  const was = isDisputed(payment);
  const [newest] = disputes;
  const news = disputes
    .toReversed()
    .filter((dispute) => recordDispute(payment, dispute, dispute === newest));
  const { _id: disputeId, status } = payment.dispute ?? {};
  const words = "the buyer's bank wants the money back; answer it on Stripe's pages";
  if (disputeId && known !== disputeId && status !== "WON") alarms.push([{ disputeId }, words]);
  const stopped = payment.refunds.some((refund) => refund.status === "FAILED");
  if (was && !isDisputed(payment) && isCaptured(payment) && stopped)
    alarms.push([{ disputeId }, "a dispute is won that had stopped a refund; ask for it again"]);
  return news.length > 0;
}

/** Finds out what became of money that was taken: what went back of it, and what the bank wants. */
async function pollProvider(deps: PaymentDeps, payment: PaymentFields): Promise<Payment> {
  const of = { payment_intent: newestAttempt(payment)?.stripeId ?? "", limit: 100 };
  const [refunds, disputes] = await Promise.all([
    deps.stripe.refunds.list(of),
    deps.stripe.disputes.list(of),
  ]);
  return updatePayment(deps, payment._id, (found, alarms) => {
    const hasNews = recordRefunds(found, refunds.data.toReversed(), alarms);
    return recordDisputes(found, disputes.data, alarms) || hasNews;
  });
}

/**
 * Asks Stripe for a refund. A lost answer is asked for again under the same key; a new key is taken
 * only where Stripe itself has failed, and its books, looked at again, do not have the refund.
 */
async function createRefund(
  deps: PaymentDeps,
  payment: PaymentFields,
  refund: Refund,
): Promise<void> {
  const { _id: id, amount, faults } = refund;
  const orderId = payment._id;
  const isStill = (now: Payment): boolean => pendingRefund(now)?._id === id;
  try {
    const made = await deps.stripe.refunds.create(
      {
        payment_intent: newestAttempt(payment)?.stripeId ?? "",
        amount,
        metadata: { order_id: orderId, refund_id: id },
      },
      { idempotencyKey: `${id}:${faults}` },
    );
    await updatePayment(deps, orderId, (found, alarms) => recordRefunds(found, [made], alarms));
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeError)) throw error;
    const isRefused = error instanceof Stripe.errors.StripeInvalidRequestError;
    const isTheirs = (error.statusCode ?? 0) >= 500;
    if (!isRefused && !isTheirs) throw error;
    const now = await pollProvider(deps, payment);
    if (isTheirs && isStill(now)) {
      await updatePayment(deps, orderId, (found) => incrementFaults(found, refund));
      throw error;
    }
    if (isRefused && isStill(now)) await failRefusedRefund(deps, orderId, refund, error);
  }
}

/** Stripe refuses a refund; a person must look, unless what it knows more than we did explains that. */
async function failRefusedRefund(
  deps: PaymentDeps,
  orderId: string,
  { _id: id }: Refund,
  { code, type }: Stripe.errors.StripeError,
): Promise<void> {
  await updatePayment(deps, orderId, (found, alarms) => {
    const isExplained = isDisputed(found) || refundableAmount(found) < 1;
    if (!failRefund(found, id)) return false;
    const about = { refundId: id, type, code };
    if (!isExplained) alarms.push([about, "Stripe refuses a refund; look at it"]);
    return true;
  });
}

/**
 * Brings the refunds of money that was taken one step nearer to their end: notes what Stripe's books
 * have, gives back what was taken for an order that had ended, and sends what is decided to Stripe,
 * each once, because its books are looked at first.
 */
export async function settleRefunds(
  deps: PaymentDeps,
  payment: PaymentFields,
  mustAsk: boolean,
): Promise<void> {
  if (!mustAsk && !pendingRefund(payment) && !isUnwantedCapture(payment)) return;
  let now = await pollProvider(deps, payment);
  if (isUnwantedCapture(now)) {
    now = await updatePayment(deps, payment._id, (found, alarms) => {
      const begun = isUnwantedCapture(found) && requestRefund(found, { reason: "ORDER_ENDED" });
      if (begun) alarms.push([{}, "money taken for an ended order is given back"]);
      return begun;
    });
  }
  now = await updatePayment(deps, payment._id, reconsiderRefund);
  const refund = pendingRefund(now);
  if (refund) await createRefund(deps, now, refund);
}
