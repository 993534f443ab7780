import type Stripe from "stripe";
import { newestAttempt, type PaymentFields } from "../payment.ts";

/** How many of the newest actions are cached; others are fetched again. */
const CACHE_SIZE = 1_000;

/** How the buyer authenticates a payment for their bank. Secret: it is for the buyer alone. */
export interface NextAction {
  /** What Stripe's client code needs. */
  clientSecret: string;
  /** The bank's page. */
  actionUrl: string;
}

const NONE: NextAction = { clientSecret: "", actionUrl: "" };

/** Fetches a payment's next action. It is a secret, so it is cached in memory and never stored. */
export function nextActions(stripe: Stripe): (payment: PaymentFields) => Promise<NextAction> {
  const known = new Map<string, NextAction>();
  return async (payment) => {
    const { status, stripeId = "" } = newestAttempt(payment) ?? {};
    if (status !== "REQUIRES_ACTION") return NONE;
    const found = known.get(stripeId);
    if (found) return found;
    const intent = await stripe.paymentIntents.retrieve(stripeId);
    const action = {
      clientSecret: intent.client_secret ?? "",
      actionUrl: intent.next_action?.redirect_to_url?.url ?? "",
    };
    known.set(stripeId, action);
    const [oldest = ""] = known.keys();
    if (known.size > CACHE_SIZE) known.delete(oldest);
    return action;
  };
}
