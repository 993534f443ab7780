import type Stripe from "stripe";
import { WEBHOOK_EVENTS } from "./webhook-events.ts";

export interface Endpoint {
  url: string;
  /** Whether the account has it, and calls it. */
  isThere: boolean;
  /** The events that we need and it does not send. */
  missing: string[];
}

/** Looks up whether Stripe tells us of everything that we need to know. */
export async function lookAtEndpoint(stripe: Stripe, publicUrl: string): Promise<Endpoint> {
  const url = `${publicUrl.replace(/\/$/, "")}/webhooks/stripe`;
  const sent = new Set<string>();
  let isThere = false;
  for await (const endpoint of stripe.webhookEndpoints.list({ limit: 100 })) {
    if (endpoint.url !== url || endpoint.status !== "enabled") continue;
    isThere = true;
    for (const event of endpoint.enabled_events) sent.add(event);
  }
  const missing = sent.has("*") ? [] : WEBHOOK_EVENTS.filter((event) => !sent.has(event));
  return { url, isThere, missing };
}
