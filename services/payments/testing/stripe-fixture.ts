import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Stripe from "stripe";
import { onTestFinished } from "vitest";
import { startStripe } from "#stack/stripe";
import { createStripe } from "../stripe/client.ts";

export const KEY = "sk_test_of_these_tests";
export const WEBHOOK_SECRET = "whsec_of_these_tests";

/** A fault of the local Stripe; see stack/stripe/requests/faults.ts. */
export interface StripeFault {
  method?: string;
  path?: string;
  times?: number;
  slow?: number;
  hold?: boolean;
  fail?: 429 | 500 | 503;
  late?: boolean;
  drop?: boolean;
}

/** The real SDK as the service configures it, with almost no delay between retries. */
export function fastRetryStripe(base: string, { key = KEY, timeoutMs = 8_000 } = {}): Stripe {
  const stripe = createStripe(key, base);
  return Object.assign(stripe, {
    getInitialNetworkRetryDelay: () => 0.005,
    getApiField: (name: string): unknown =>
      name === "timeout" ? timeoutMs : Stripe.prototype.getApiField.call(stripe, name),
  });
}

/** A real local Stripe for one test, with a webhook URL; `control` changes its state. */
export async function localStripe(webhook?: { url: string; secret: string }) {
  const dir = await mkdtemp(join(tmpdir(), "stripe-"));
  const server = await startStripe({ port: 0, dir, secretKey: KEY, webhook, test: true });
  onTestFinished(async () => {
    await server.close();
    await rm(dir, { recursive: true });
  });
  const base = `http://127.0.0.1:${server.port}`;
  async function control<T>(method: string, path: string, body?: object): Promise<T> {
    const init = { method, ...(body && { body: JSON.stringify(body) }) };
    const answer = await fetch(`${base}/_test/${path}`, init);
    if (!answer.ok) throw new Error(await answer.text());
    return (await answer.json()) as T;
  }
  return { base, control, close: server.close };
}

export type StripeStep = "create" | "confirm" | "capture" | "cancel" | "refund";

/**
 * A Stripe client for a process that crashes at one of its calls, before or after Stripe executes
 * it. From then on, no call of this process returns.
 */
export function crashingStripe(
  stripe: Stripe,
  step: StripeStep | "list",
  when: "before" | "after",
): { stripe: Stripe; died: Promise<void> } {
  let isDead = false;
  let die: () => void = () => undefined;
  const died = new Promise<void>((resolve) => (die = resolve));
  const never = new Promise<never>(() => undefined);
  const end = (): Promise<never> => {
    isDead = true;
    die();
    return never;
  };
  const mortal = <R extends object>(resource: R, fatal: string | undefined): R =>
    new Proxy(resource, {
      get(target, name) {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== "function") return method;
        return async (...args: unknown[]) => {
          if (isDead || (name === fatal && when === "before")) return end();
          const call = Reflect.apply(method, target, args) as Promise<unknown>;
          if (name !== fatal) {
            const result = await call;
            return isDead ? never : result;
          }
          await call.catch(() => undefined);
          return end();
        };
      },
    });
  const refundCall = step === "refund" ? "create" : step === "list" ? "list" : undefined;
  const mortalStripe = Object.create(stripe, {
    paymentIntents: {
      value: mortal(stripe.paymentIntents, step === "refund" || step === "list" ? undefined : step),
    },
    refunds: { value: mortal(stripe.refunds, refundCall) },
    disputes: { value: mortal(stripe.disputes, undefined) },
  }) as Stripe;
  return { stripe: mortalStripe, died };
}
