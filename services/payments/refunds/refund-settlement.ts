import Stripe from "stripe";
import { update } from "#runtime/store/aggregate.ts";
import type { PaymentDeps } from "../deps.ts";
import { newestAttempt, type Payment, type PaymentFields, type Refund } from "../payment.ts";
import { recordDispute } from "./dispute.ts";
import {
  failRefund,
  incrementFaults,
  reconsiderRefund,
  recordRefund,
  requestRefund,
  type ProviderRefund,
} from "./refund.ts";
import {
  isCaptured,
  isDisputed,
  isUnwantedCapture,
  pendingRefund,
  refundableAmount,
} from "./refund-state.ts";

/** A log line for operators, written once the change that it follows from is stored. */
type Alarm = [about: object, message: string];

const toProviderRefund = (refund: Stripe.Refund): ProviderRefund => ({
  refundId: refund.metadata?.["refund_id"],
  stripeId: refund.id,
  amount: refund.amount,
  failed: refund.status === "failed" || refund.status === "canceled",
  createTime: new Date(refund.created * 1000),
});

/** Changes a payment, returns it after the change, and then raises the alarms of the change. */
async function updatePayment(
  { payments, log }: PaymentDeps,
  orderId: string,
  change: (payment: Payment, alarms: Alarm[]) => boolean,
): Promise<Payment> {
  let alarms: Alarm[] = [];
  const payment = await update(payments, orderId, (found) => change(found, (alarms = [])));
  if (!payment) throw new Error(`no payment of order ${orderId}`);
  for (const [about, message] of alarms) log.error({ alarm: true, orderId, ...about }, message);
  return payment;
}

function recordRefunds(payment: Payment, refunds: Stripe.Refund[], alarms: Alarm[]): boolean {
  const news = refunds.map(toProviderRefund).filter((refund) => recordRefund(payment, refund));
  for (const { failed, stripeId } of news) {
    if (failed) alarms.push([{ stripeId }, "a refund failed; check it in the Stripe Dashboard"]);
  }
  return news.length > 0;
}

/** Stores the states of a payment's disputes at Stripe, which come with the newest one first. */
function recordDisputes(payment: Payment, disputes: Stripe.Dispute[], alarms: Alarm[]): boolean {
  const knownId = payment.dispute?._id;
  const wasDisputed = isDisputed(payment);
  const [newest] = disputes;
  const news = disputes
    .toReversed()
    .filter((dispute) => recordDispute(payment, dispute, dispute === newest));
  const { _id: disputeId, status } = payment.dispute ?? {};
  if (disputeId && knownId !== disputeId && status !== "WON") {
    alarms.push([{ disputeId }, "a buyer disputes a payment; respond in the Stripe Dashboard"]);
  }
  const hasFailedRefund = payment.refunds.some((refund) => refund.status === "FAILED");
  if (wasDisputed && !isDisputed(payment) && isCaptured(payment) && hasFailedRefund) {
    const message = "a dispute was won that had blocked a refund; request the refund again";
    alarms.push([{ disputeId }, message]);
  }
  return news.length > 0;
}

/** Fetches the refunds and disputes of captured money from Stripe, and stores their states. */
async function pollProvider(deps: PaymentDeps, payment: PaymentFields): Promise<Payment> {
  const filter = { payment_intent: newestAttempt(payment)?.stripeId ?? "", limit: 100 };
  const [refunds, disputes] = await Promise.all([
    deps.stripe.refunds.list(filter),
    deps.stripe.disputes.list(filter),
  ]);
  return updatePayment(deps, payment._id, (found, alarms) => {
    const hasNews = recordRefunds(found, refunds.data.toReversed(), alarms);
    return recordDisputes(found, disputes.data, alarms) || hasNews;
  });
}

/**
 * Creates a refund at Stripe. A request whose answer is lost is repeated with the same idempotency key.
 * A new key is used only after an error of Stripe's own, and only if Stripe does not list the refund.
 */
async function createRefund(
  deps: PaymentDeps,
  payment: PaymentFields,
  refund: Refund,
): Promise<void> {
  const { _id: id, amount, faults } = refund;
  const orderId = payment._id;
  const params = {
    payment_intent: newestAttempt(payment)?.stripeId ?? "",
    amount,
    metadata: { order_id: orderId, refund_id: id },
  };
  try {
    const options = { idempotencyKey: `${id}:${faults}` };
    const created = await deps.stripe.refunds.create(params, options);
    await updatePayment(deps, orderId, (found, alarms) => recordRefunds(found, [created], alarms));
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeError)) throw error;
    await handleRefundError(deps, payment, refund, error);
  }
}

async function handleRefundError(
  deps: PaymentDeps,
  payment: PaymentFields,
  refund: Refund,
  error: Stripe.errors.StripeError,
): Promise<void> {
  const isRefused = error instanceof Stripe.errors.StripeInvalidRequestError;
  const isStripeFault = (error.statusCode ?? 0) >= 500;
  if (!isRefused && !isStripeFault) throw error;
  const now = await pollProvider(deps, payment);
  const isStillPending = pendingRefund(now)?._id === refund._id;
  if (isStripeFault && isStillPending) {
    await updatePayment(deps, payment._id, (found) => incrementFaults(found, refund));
    throw error;
  }
  if (isRefused && isStillPending) await failRefusedRefund(deps, payment._id, refund, error);
}

/** Fails a refund that Stripe refuses. It raises an alarm, unless a dispute or another refund explains it. */
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
    const message = "Stripe refuses a refund; check the payment in the Stripe Dashboard";
    if (!isExplained) alarms.push([about, message]);
    return true;
  });
}

/** Requests the refund of money that was captured for an order that had ended. */
const requestAutomaticRefund = (payment: Payment, alarms: Alarm[]): boolean => {
  const isBegun = isUnwantedCapture(payment) && requestRefund(payment, { reason: "ORDER_ENDED" });
  if (isBegun) alarms.push([{}, "money captured for an ended order is refunded"]);
  return isBegun;
};

/**
 * Moves the refunds of captured money one step closer to their final state. It stores what Stripe
 * lists, requests the refund of an unwanted capture, and creates the pending refund at Stripe. Because
 * Stripe is polled first, each refund is made once.
 */
export async function settleRefunds(
  deps: PaymentDeps,
  payment: PaymentFields,
  mustPoll: boolean,
): Promise<void> {
  if (!mustPoll && !pendingRefund(payment) && !isUnwantedCapture(payment)) return;
  let now = await pollProvider(deps, payment);
  if (isUnwantedCapture(now)) now = await updatePayment(deps, payment._id, requestAutomaticRefund);
  now = await updatePayment(deps, payment._id, reconsiderRefund);
  const refund = pendingRefund(now);
  if (refund) await createRefund(deps, now, refund);
}
