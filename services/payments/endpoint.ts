import type Stripe from "stripe";
import { WEBHOOK_EVENTS } from "./webhook-events.ts";

/** What our own account tells; of sellers' accounts we ask by ourselves. */
const OWN_EVENTS: readonly string[] = WEBHOOK_EVENTS.filter((type) => !type.startsWith("account."));

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
  let missing: string[] | undefined;
  for await (const endpoint of stripe.webhookEndpoints.list({ limit: 100 })) {
    const { application, status, enabled_events: sent } = endpoint;
    // One of connected accounts does not tell of our own.
    if (endpoint.url !== url || status !== "enabled" || application) continue;
    const lacks = sent.includes("*") ? [] : OWN_EVENTS.filter((event) => !sent.includes(event));
    // Each has a secret of its own, and we know one: so the best of them has to tell us all.
    if (!missing || lacks.length < missing.length) missing = lacks;
  }
  return { url, isThere: missing !== undefined, missing: missing ?? [...OWN_EVENTS] };
}
