import type Stripe from "stripe";
import type { Log } from "#runtime/log.ts";
import type { Payments } from "./payment.ts";

/** What the work on payments needs. */
export interface PaymentDeps {
  payments: Payments;
  stripe: Stripe;
  log: Log;
  now: () => number;
  /** Our fee on a sale, in basis points of its price. */
  feeBps: number;
}
