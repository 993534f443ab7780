import Stripe from "stripe";
import { CallError, type DomainError } from "#runtime/errors.ts";
import type { RequestPace } from "./request-pace.ts";

/** The version that this code was written against; Stripe answers in it whatever the account's is. */
const API_VERSION = "2026-10-28.endive";

/**
 * Stripe through its own SDK; `base` is the local Stripe's address where there is one, and `pace` slows
 * down what can wait.
 */
export function createStripe(key: string, base: string | undefined, pace?: RequestPace): Stripe {
  const url = base === undefined ? undefined : new URL(base);
  return new Stripe(key, {
    apiVersion: API_VERSION,
    // Every change carries a key or is safe to repeat, so the SDK may repeat it.
    maxNetworkRetries: 2,
    timeout: 8_000,
    telemetry: false,
    ...(pace && { httpClient: pace.httpClient }),
    ...(url && {
      host: url.hostname,
      port: url.port || (url.protocol === "https:" ? "443" : "80"),
      protocol: url.protocol === "https:" ? ("https" as const) : ("http" as const),
    }),
  });
}

/** Stripe's answer is not there yet: what became of the payment will be known a little later. */
export const notReady = (): DomainError =>
  new CallError("NOT_READY", "the bank has not answered yet; ask again in a moment", {
    retryAfterMs: 2_000,
  });

/**
 * What a caller is told of an error. One of Stripe's own goes no further: it carries the whole
 * answer, with the intent's secret in it, and whoever logged it would log that.
 */
export const withoutSecrets = (error: unknown): unknown =>
  error instanceof Stripe.errors.StripeError ? notReady() : error;
