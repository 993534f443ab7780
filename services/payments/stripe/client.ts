import Stripe from "stripe";
import { CallError, type DomainError } from "#runtime/errors.ts";
import type { RequestPace } from "./request-pace.ts";

/** The API version that this code is written for; Stripe answers in it whatever the account's default is. */
const API_VERSION = "2026-10-28.endive";

/**
 * Stripe's SDK. `base` is the address of a local Stripe, if there is one; `pace` limits the request
 * rate.
 */
export function createStripe(key: string, base: string | undefined, pace?: RequestPace): Stripe {
  const url = base === undefined ? undefined : new URL(base);
  return new Stripe(key, {
    apiVersion: API_VERSION,
    // Every change has an idempotency key or is idempotent, so the SDK may retry it.
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

/** Stripe has not answered yet, so the result of the payment is not known yet. */
export const notReady = (): DomainError =>
  new CallError("NOT_READY", "the bank has not answered yet; ask again in a moment", {
    retryAfterMs: 2_000,
  });

/**
 * Replaces an error of Stripe's, which carries the whole response with the intent's client secret, so
 * that no log and no caller gets it.
 */
export const withoutSecrets = (error: unknown): unknown =>
  error instanceof Stripe.errors.StripeError ? notReady() : error;
