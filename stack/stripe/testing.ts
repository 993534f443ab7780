import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import Stripe from "stripe";
import { onTestFinished, vi } from "vitest";
import { startStripe, type StripeOptions } from "./server.ts";

// On a busy machine everything takes longer, which is not a failure.
vi.setConfig({ testTimeout: 30_000 });

/** Waits until the expectation holds. */
export const eventually = (check: () => void | Promise<void>) => vi.waitFor(check, 10_000);

/** A new random secret. */
export const secretOf = (kind: string) => `${kind}_${randomBytes(16).toString("hex")}`;

/** A folder that is removed after the test. */
export function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "stripe-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  return dir;
}

/** The real SDK without retries. */
export function sdk(secretKey: string, port: number): Stripe {
  const where = { host: "127.0.0.1", port, protocol: "http" } as const;
  return new Stripe(secretKey, { ...where, maxNetworkRetries: 0, telemetry: false });
}

/** A local Stripe for one test, with a client for its API and its test API. */
export async function local(options: Partial<StripeOptions> = {}) {
  const secretKey = secretOf("sk_test");
  const all = { port: 0, dir: options.dir ?? folder(), secretKey, test: true, ...options };
  const server = await startStripe(all);
  onTestFinished(() => server.close());
  const base = `http://127.0.0.1:${server.port}`;
  const callTestApi = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${base}/_test/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(await response.text());
    return response.json() as Promise<unknown>;
  };
  const records = () => callTestApi("GET", "records") as Promise<Record<string, unknown[]>>;
  return {
    records,
    base,
    secretKey,
    callTestApi,
    stripe: sdk(secretKey, server.port),
    close: server.close,
  };
}

/** A webhook endpoint that collects events and responds with the given status codes. */
export async function endpoint() {
  const secret = secretOf("whsec");
  const events: Stripe.Event[] = [];
  const answers: number[] = [];
  const server = createServer((req, res) => {
    void text(req).then((body) => {
      const signature = String(req.headers["stripe-signature"]);
      events.push(Stripe.webhooks.constructEvent(body, signature, secret));
      res.writeHead(answers.shift() ?? 200).end();
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close().closeAllConnections());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhook`;
  return { webhook: { url, secret }, events, answers, types: () => events.map(({ type }) => type) };
}

/** The error of a call that must fail. */
export async function errorOf(call: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Stripe.errors.StripeError) return error;
  throw new Error(`expected an error of Stripe, but got ${String(error)}`);
}

/** The parameters of a PaymentIntent over 19.99 by card, captured manually. */
export const intentParams = {
  amount: 1999,
  currency: "usd",
  capture_method: "manual" as const,
  allowed_payment_method_types: ["card"],
};

/** Creates and captures a payment with these parameters. */
export async function paid(stripe: Stripe, payment_method = "pm_card_visa"): Promise<string> {
  const { id } = await stripe.paymentIntents.create({
    ...intentParams,
    payment_method,
    confirm: true,
  });
  return (await stripe.paymentIntents.capture(id)).id;
}
