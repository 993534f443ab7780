import type Stripe from "stripe";
import type { Log } from "#runtime/log.ts";
import type { Payments } from "./payment.ts";

/** What it takes to bring payments to their end. */
export interface PaymentDeps {
  payments: Payments;
  stripe: Stripe;
  log: Log;
  now: () => number;
  /** What is kept of a sale, in hundredths of a per cent of its price. */
  feeBps: number;
}
