import type { Payments } from "../payment.ts";
import { type WebhookListener, WEBHOOK_EVENT_TYPES } from "../stripe/webhooks.ts";
import type { SettlementWorker } from "./settlement-worker.ts";

/**
 * Whatever happens to intents, and to their charges, refunds and disputes. What was made on Stripe's own
 * pages has not our metadata, and is found by its intent.
 */
export const paymentListener = (
  payments: Payments,
  settler: Pick<SettlementWorker, "enqueuePoll">,
): WebhookListener => ({
  accepts: (type) => WEBHOOK_EVENT_TYPES.has(type) && !type.startsWith("account."),
  async subjectOf({ metadata, payment_intent: intentId }) {
    const orderId = metadata?.order_id ?? undefined;
    if (orderId || !intentId) return orderId;
    const found = await payments.findOne({ "attempts.stripeId": intentId }, { _id: 1 });
    return found?._id;
  },
  enqueue: settler.enqueuePoll,
});
