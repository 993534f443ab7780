import Stripe from "stripe";

/** The version that this code was written against; Stripe answers in it whatever the account's is. */
const API_VERSION = "2026-10-28.endive";

/** Stripe through its own SDK; `base` is the local Stripe's address where there is one. */
export function createStripe(key: string, base: string | undefined): Stripe {
  const url = base === undefined ? undefined : new URL(base);
  return new Stripe(key, {
    apiVersion: API_VERSION,
    // Every change carries a key or is safe to repeat, so the SDK may repeat it.
    maxNetworkRetries: 2,
    timeout: 8_000,
    telemetry: false,
    ...(url && {
      host: url.hostname,
      port: url.port || (url.protocol === "https:" ? "443" : "80"),
      protocol: url.protocol === "https:" ? ("https" as const) : ("http" as const),
    }),
  });
}
