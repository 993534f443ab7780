import type Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Child, run, until } from "#stack/process";
import { ensureGo } from "#stack/tools";
import { errorOf, sdk } from "../testing.ts";

/** The program that validates the schemas, or the reason why it is missing. */
const validator = await ensureGo("github.com/stripe/stripe-mock@v0.203.0", () => {}).then(
  (program) => ({ program, missing: undefined }),
  (error: Error) => ({ program: "", missing: error.message }),
);

/** Stripe's own stripe-mock. It is stateless, and validates each request by its schema. */
let child: Child | undefined;
let stripe: Stripe;

beforeAll(async () => {
  if (validator.missing !== undefined) return;
  let port: string | undefined;
  child = run("stripe-mock", validator.program, ["-http-addr", "127.0.0.1:0"], {
    onLine: (line) => (port ??= /127\.0\.0\.1:(\d+)/.exec(line)?.[1]),
  });
  stripe = sdk("sk_test_123", Number(await until(() => port, { what: "stripe-mock", child })));
});

afterAll(() => child?.stop());

const idempotencyKey = "k1";
const metadata = { order_id: "o1" };
const payment_intent = "pi_1";
const created = { gte: 1, lt: 2 };

/** Every call of the payments service, with every parameter that it can send. */
const calls: Record<string, () => Promise<unknown>> = {
  create: () =>
    stripe.paymentIntents.create(
      {
        amount: 1999,
        currency: "usd",
        capture_method: "manual",
        allowed_payment_method_types: ["card"],
        description: "A ticket",
        metadata,
        payment_method: "pm_card_visa",
      },
      { idempotencyKey },
    ),
  confirm: () =>
    stripe.paymentIntents.confirm(payment_intent, { return_url: "https://shop.example/orders/1" }),
  capture: () => stripe.paymentIntents.capture(payment_intent, {}, { idempotencyKey }),
  cancel: () => stripe.paymentIntents.cancel(payment_intent),
  retrieve: () =>
    stripe.paymentIntents.retrieve(payment_intent, {
      expand: ["latest_charge.balance_transaction"],
    }),
  refund: () =>
    stripe.refunds.create({
      payment_intent,
      amount: 999,
      metadata,
      reason: "requested_by_customer",
    }),
  "list refunds": () => stripe.refunds.list({ payment_intent, limit: 100 }),
  "retrieve a refund": () => stripe.refunds.retrieve("re_1"),
  "list disputes": () => stripe.disputes.list({ payment_intent, limit: 100 }),
  "list balance transactions": () =>
    stripe.balanceTransactions.list({
      created,
      type: "charge",
      limit: 100,
      expand: ["data.source"],
    }),
  "list the balance transactions of one thing": () =>
    stripe.balanceTransactions.list({ source: "ch_1" }),
  "create an account": () =>
    stripe.accounts.create({
      controller: {
        fees: { payer: "application" },
        losses: { payments: "application" },
        stripe_dashboard: { type: "express" },
      },
      capabilities: { transfers: { requested: true } },
      metadata,
    }),
  "retrieve an account": () => stripe.accounts.retrieve("acct_1"),
  "create an account link": () =>
    stripe.accountLinks.create({
      account: "acct_1",
      type: "account_onboarding",
      refresh_url: "https://shop.example/account",
      return_url: "https://shop.example/account",
    }),
  transfer: () =>
    stripe.transfers.create({
      amount: 1899,
      currency: "usd",
      destination: "acct_1",
      transfer_group: "p1",
      metadata,
    }),
  "list transfers": () => stripe.transfers.list({ transfer_group: "p1" }),
  "list events": () =>
    stripe.events.list({ types: ["refund.created"], created: { gte: 1 }, limit: 100 }),
  "list webhook endpoints": () => stripe.webhookEndpoints.list({ limit: 100 }),
};

const why = validator.missing === undefined ? "" : ` (skipped: ${validator.missing})`;

describe.skipIf(why)(`Stripe's published schemas${why}`, () => {
  it.each(Object.entries(calls))("accept the call: %s", async (_, call) => {
    await expect(call()).resolves.toBeDefined();
  });

  it("reject a card token, which Stripe accepts in test mode only", async () => {
    const payment_method_data = { type: "card", card: { token: "tok_visa" } } as never;
    const call = stripe.paymentIntents.create({
      amount: 1999,
      currency: "usd",
      payment_method_data,
    });
    expect((await errorOf(call)).message).toContain("'type' validation failed");
  });

  it("reject an unknown parameter", async () => {
    const wrong = { payment_intent, colour: "red" } as Stripe.RefundListParams;
    const { message } = await errorOf(stripe.refunds.list(wrong));
    expect(message).toContain("additional properties are not allowed");
  });
});
