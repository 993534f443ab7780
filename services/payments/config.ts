import { z } from "zod";
import { serviceConfig, storeConfig, tokenConfig } from "#runtime/config.ts";

/**
 * Payment method types with separate capture, by Stripe's names. Only these make sure that no buyer
 * is charged for a ticket that they do not get.
 */
const separateCapture: ReadonlySet<string> = new Set(
  `card affirm afterpay_clearpay alma amazon_pay billie cashapp kakao_pay klarna kr_card link mobilepay
  naver_pay payco paypal revolut_pay samsung_pay satispay scalapay sequra sunbit`.split(/\s+/),
);

/** Splits a comma-separated list. */
const listed = (words: string): string[] =>
  words
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
const isFull = (list: string[]): boolean => list.length > 0;
const FULL = { error: "must be a secret, or several with commas between them" };

const limit = (most: number) => z.coerce.number().int().positive().default(most);

export const paymentConfig = serviceConfig.extend({
  ...storeConfig,
  ...tokenConfig,
  /** Stripe's secret key. A secret. */
  STRIPE_KEY: z.string().min(1),
  /**
   * The signing secret of Stripe's webhooks, or two with a comma between them while one is rolled. A
   * secret.
   */
  STRIPE_WEBHOOK_SECRET: z.string().min(1).transform(listed).refine(isFull, FULL),
  /** As STRIPE_WEBHOOK_SECRET, for the Connect endpoint. A secret. */
  STRIPE_CONNECT_WEBHOOK_SECRET: z.string().default("").transform(listed),
  /** How many low-priority requests, such as polls, an instance may send to Stripe per second. */
  STRIPE_POLLS_PER_SECOND: z.coerce.number().int().min(1).max(100).default(10),
  /** Replaces CALL_TIMEOUT_SECONDS, because banks are slow. */
  BANK_TIMEOUT_SECONDS: z.coerce.number().min(0.1).max(60).default(12),
  /** Our fee on each sale, in basis points of the price, which includes it. */
  FEE_BPS: z.coerce.number().int().min(0).max(10_000).default(500),
  /** The payment method types that buyers may use: Stripe's names, with commas between them. */
  PAYMENT_METHOD_TYPES: z
    .string()
    .refine((types) => types.split(",").every((type) => separateCapture.has(type)), {
      error:
        "must be names of Stripe's for methods with separate capture, with commas between them",
    })
    .default("card"),
  /** How many cards an account may try within an hour and a day; accepted cards do not count. */
  CARD_TRIES_PER_ACCOUNT_AND_HOUR: limit(10),
  CARD_TRIES_PER_ACCOUNT_AND_DAY: limit(30),
  /** How many declined cards one address may have. An IPv6 address counts as its /64 network. */
  CARD_REFUSALS_PER_ADDRESS_AND_HOUR: limit(30),
  CARD_REFUSALS_PER_ADDRESS_AND_DAY: limit(100),
  /** How often available balances are paid out. */
  PAYOUT_SWEEP_SECONDS: z.coerce.number().int().min(1).max(86_400).default(3_600),
  /** For how long the earnings of a ticket without a date are held. */
  PAYOUT_HOLD_DAYS: z.coerce.number().int().min(0).max(365).default(14),
  /** The storefront's address: Stripe's pages lead back there. */
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).default("http://localhost:8080"),
  /** The address of a local Stripe, for development and tests. */
  STRIPE_API_BASE: z.url({ protocol: /^https?$/ }).optional(),
});
