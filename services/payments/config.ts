import { z } from "zod";
import { serviceConfig, storeConfig, tokenConfig } from "#runtime/config.ts";

export const paymentConfig = serviceConfig.extend({
  ...storeConfig,
  ...tokenConfig,
  /** Stripe's secret key. A secret. */
  STRIPE_KEY: z.string().min(1),
  /** What Stripe signs its webhooks with. A secret. */
  STRIPE_WEBHOOK_SECRET: z.string().min(1),
  /** In place of CALL_TIMEOUT_SECONDS: a bank takes its time. */
  BANK_TIMEOUT_SECONDS: z.coerce.number().min(0.1).max(60).default(12),
  /** What is kept of each sale, in hundredths of a per cent of its price, which includes it. */
  FEE_BPS: z.coerce.number().int().min(0).max(10_000).default(500),
  /** Another Stripe than the real one: the local one, in development and in tests. */
  STRIPE_API_BASE: z.url({ protocol: /^https?$/ }).optional(),
});
