import type Stripe from "stripe";
import { WEBHOOK_EVENTS } from "../stripe/webhook-events.ts";

const isOfAccounts = (type: string): boolean => type.startsWith("account.");

/** What our own account tells, and what the accounts of sellers do. */
const OWN_EVENTS: readonly string[] = WEBHOOK_EVENTS.filter((type) => !isOfAccounts(type));
const ACCOUNT_EVENTS: readonly string[] = WEBHOOK_EVENTS.filter(isOfAccounts);

/** One side of what Stripe tells us. */
export interface Endpoint {
  /** Whether our account has such an endpoint, and Stripe calls it. */
  isThere: boolean;
  /** The events that we need and it does not send. */
  missing: readonly string[];
}

export interface Endpoints {
  url: string;
  /** Tells of our own account: payments, refunds, disputes. */
  own: Endpoint;
  /** Tells of sellers' accounts; Stripe calls that a Connect endpoint, and it has a secret of its own. */
  connect: Endpoint;
}

function sideOf(endpoints: readonly Stripe.WebhookEndpoint[], needed: readonly string[]): Endpoint {
  let missing: readonly string[] | undefined;
  for (const { enabled_events: sent } of endpoints) {
    const lacks = sent.includes("*") ? [] : needed.filter((event) => !sent.includes(event));
    // Each has a secret of its own, and we know one of each kind: so the best has to tell us all.
    if (!missing || lacks.length < missing.length) missing = lacks;
  }
  return { isThere: missing !== undefined, missing: missing ?? needed };
}

/** Looks up whether Stripe tells us of everything that we need to know. */
export async function fetchWebhookEndpoints(stripe: Stripe, publicUrl: string): Promise<Endpoints> {
  const url = `${publicUrl.replace(/\/$/, "")}/webhooks/stripe`;
  const own: Stripe.WebhookEndpoint[] = [];
  const connect: Stripe.WebhookEndpoint[] = [];
  for await (const endpoint of stripe.webhookEndpoints.list({ limit: 100 })) {
    if (endpoint.url !== url || endpoint.status !== "enabled") continue;
    // Only a Connect endpoint belongs to an application.
    (endpoint.application ? connect : own).push(endpoint);
  }
  return { url, own: sideOf(own, OWN_EVENTS), connect: sideOf(connect, ACCOUNT_EVENTS) };
}
