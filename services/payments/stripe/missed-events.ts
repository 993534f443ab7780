import type Stripe from "stripe";
import { WEBHOOK_EVENTS } from "./webhook-events.ts";
import { storeWebhook, type InboxDeps } from "./webhook-inbox.ts";
import { DAY_MS, HOUR_MS } from "#runtime/values/time.ts";

/** How far back the first run reads: longer than Stripe retries the delivery of an event. */
const FIRST_RUN_MS = 7 * DAY_MS;
/** An event may appear in Stripe's list a little later than its timestamp says. */
const OVERLAP_MS = HOUR_MS;

interface MissedEventDeps extends InboxDeps {
  stripe: Stripe;
  now: () => number;
}

/**
 * Reads from Stripe's event list the events that its webhooks may have failed to deliver: an endpoint
 * may have been disabled, or have had another secret. A captured payment is polled for no other reason,
 * so without this an undelivered dispute or refund would stay unknown.
 */
export function readMissedEvents({ stripe, now, ...inbox }: MissedEventDeps): () => Promise<void> {
  let since = now() - FIRST_RUN_MS;
  return async () => {
    const started = now();
    const created = { gte: Math.floor(since / 1000) };
    const types = WEBHOOK_EVENTS.filter((type) => /^(charge|refund)\./.test(type));
    for await (const event of stripe.events.list({ types, created, limit: 100 })) {
      await storeWebhook(inbox, event);
    }
    since = started - OVERLAP_MS;
  };
}
