import type { Payments } from "../payment.ts";
import { WEBHOOK_EVENTS } from "../stripe/webhook-events.ts";
import type { WebhookListener } from "../stripe/webhook-inbox.ts";
import type { SettlementWorker } from "./settlement-worker.ts";

const eventTypes: ReadonlySet<string> = new Set(WEBHOOK_EVENTS);

/**
 * Polls a payment after an event of its intent, charge, refund or dispute. Objects that were made in
 * the Dashboard lack our metadata, and their payment is found by its intent.
 */
export const paymentListener = (
  payments: Payments,
  worker: Pick<SettlementWorker, "enqueuePoll">,
): WebhookListener => ({
  accepts: (type) => eventTypes.has(type) && !type.startsWith("account."),
  async subjectOf({ metadata, payment_intent: intentId }) {
    const orderId = metadata?.order_id ?? undefined;
    if (orderId || !intentId) return orderId;
    const found = await payments.findOne({ "attempts.stripeId": intentId }, { _id: 1 });
    return found?._id;
  },
  enqueue: (orderId, eventId) => worker.enqueuePoll(orderId, eventId),
});
