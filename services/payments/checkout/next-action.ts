import type Stripe from "stripe";
import { newestAttempt, type PaymentFields } from "../payment.ts";

/** So many of the newest are remembered; another one is asked for again. */
const MOST = 1_000;

/** How the buyer confirms a payment that the bank asks about: for them alone, and nothing else. */
export interface NextAction {
  /** What Stripe's client code needs. */
  clientSecret: string;
  /** The bank's page. */
  actionUrl: string;
}

const NONE: NextAction = { clientSecret: "", actionUrl: "" };

/** Finds out what a payment's buyer has to do. That is a secret: remembered for a while, never stored. */
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
    if (known.size > MOST) known.delete(oldest);
    return action;
  };
}
