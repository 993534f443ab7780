import { z } from "zod";
import { serviceConfig, storeConfig, tokenConfig } from "#runtime/config.ts";

/**
 * Methods with separate capture, in Stripe's words: only with one of them nobody is charged for a ticket
 * that they did not get.
 */
const separateCapture: ReadonlySet<string> = new Set(
  `card affirm afterpay_clearpay alma amazon_pay billie cashapp kakao_pay klarna kr_card link mobilepay
  naver_pay payco paypal revolut_pay samsung_pay satispay scalapay sequra sunbit`.split(/\s+/),
);

/** What stands between commas. */
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
   * What Stripe signs its webhooks with; two with a comma between them, while one takes the place of
   * the other. A secret.
   */
  STRIPE_WEBHOOK_SECRET: z.string().min(1).transform(listed).refine(isFull, FULL),
  /** As STRIPE_WEBHOOK_SECRET, of the endpoint that tells of sellers' accounts. A secret. */
  STRIPE_CONNECT_WEBHOOK_SECRET: z.string().default("").transform(listed),
  /** How often a second one instance asks Stripe for what can wait, as how a payment is. */
  STRIPE_POLLS_PER_SECOND: z.coerce.number().int().min(1).max(100).default(10),
  /** In place of CALL_TIMEOUT_SECONDS: a bank takes its time. */
  BANK_TIMEOUT_SECONDS: z.coerce.number().min(0.1).max(60).default(12),
  /** What is kept of each sale, in hundredths of a per cent of its price, which includes it. */
  FEE_BPS: z.coerce.number().int().min(0).max(10_000).default(500),
  /** With what may be paid: Stripe's words for it, with commas between them. */
  PAYMENT_METHOD_TYPES: z
    .string()
    .refine((types) => types.split(",").every((type) => separateCapture.has(type)), {
      error:
        "must be names of Stripe's for methods with separate capture, with commas between them",
    })
    .default("card"),
  /** How many cards an account may try within an hour, and a day; those that were good are not counted. */
  CARD_TRIES_PER_ACCOUNT_AND_HOUR: limit(10),
  CARD_TRIES_PER_ACCOUNT_AND_DAY: limit(30),
  /** How many cards may be refused to one address, whoever asks. Of IPv6, an address is its /64. */
  CARD_REFUSALS_PER_ADDRESS_AND_HOUR: limit(30),
  CARD_REFUSALS_PER_ADDRESS_AND_DAY: limit(100),
  /** How often what is available is paid out. */
  PAYOUT_SWEEP_SECONDS: z.coerce.number().int().min(1).max(86_400).default(3_600),
  /** What was earned with a ticket without a date is held so long. */
  PAYOUT_HOLD_DAYS: z.coerce.number().int().min(0).max(365).default(14),
  /** Where people see the storefront: where Stripe's pages lead back to. */
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).default("http://localhost:8080"),
  /** Another Stripe than the real one: the local one, in development and in tests. */
  STRIPE_API_BASE: z.url({ protocol: /^https?$/ }).optional(),
});
