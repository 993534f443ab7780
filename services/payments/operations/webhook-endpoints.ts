import type Stripe from "stripe";
import { WEBHOOK_EVENTS } from "../stripe/webhook-events.ts";

const isOfAccounts = (type: string): boolean => type.startsWith("account.");

/** The events of our own account, and those of sellers' accounts. */
const OWN_EVENTS: readonly string[] = WEBHOOK_EVENTS.filter((type) => !isOfAccounts(type));
const ACCOUNT_EVENTS: readonly string[] = WEBHOOK_EVENTS.filter(isOfAccounts);

/** The endpoint for one kind of account. */
export interface Endpoint {
  /** Whether our account has such an endpoint and it is enabled. */
  exists: boolean;
  /** The events that we need and that it does not send. */
  missing: readonly string[];
}

export interface Endpoints {
  url: string;
  /** For our own account: payments, refunds, disputes. */
  own: Endpoint;
  /** For sellers' accounts: a Connect endpoint, with a signing secret of its own. */
  connect: Endpoint;
}

function sideOf(endpoints: readonly Stripe.WebhookEndpoint[], needed: readonly string[]): Endpoint {
  let missing: readonly string[] | undefined;
  for (const { enabled_events: sent } of endpoints) {
    const lacks = sent.includes("*") ? [] : needed.filter((event) => !sent.includes(event));
    // Each endpoint has a secret of its own and we know one of each kind, so a single one must send all.
    if (!missing || lacks.length < missing.length) missing = lacks;
  }
  return { exists: missing !== undefined, missing: missing ?? needed };
}

/** Fetches our webhook endpoints, and the events that they lack. */
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
