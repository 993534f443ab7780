import { randomBytes } from "node:crypto";
import type { Base, Metadata } from "./base.ts";
import type { Account, AccountLink, Transfer } from "./connect.ts";
import type { ErrorBody } from "./errors.ts";

/** The states of an intent. */
export type Status =
  | "requires_payment_method"
  | "requires_confirmation"
  | "requires_action"
  | "processing"
  | "requires_capture"
  | "canceled"
  | "succeeded";

/** A PaymentIntent: the request for a payment, and its state. */
export interface Intent extends Base<"payment_intent"> {
  readonly amount: number;
  readonly amount_capturable: number;
  readonly amount_received: number;
  readonly automatic_payment_methods: { allow_redirects: string; enabled: boolean } | null;
  readonly canceled_at: number | null;
  readonly cancellation_reason: string | null;
  readonly capture_method: "automatic" | "automatic_async" | "manual";
  readonly client_secret: string;
  readonly confirmation_method: "automatic";
  readonly currency: string;
  readonly customer: null;
  readonly description: string | null;
  readonly last_payment_error: ErrorBody | null;
  readonly latest_charge: string | null;
  readonly livemode: false;
  readonly metadata: Metadata;
  readonly next_action: NextAction | null;
  readonly payment_method: string | null;
  readonly allowed_payment_method_types: readonly string[] | null;
  readonly payment_method_types: readonly string[];
  readonly receipt_email: string | null;
  readonly status: Status;
}

/** What the buyer must do next. Stripe redirects if it has a return URL. */
export type NextAction =
  | { type: "redirect_to_url"; redirect_to_url: { url: string; return_url: string } }
  | { type: "use_stripe_sdk"; use_stripe_sdk: { type: string; stripe_js: string } };

/** The return URL of a 3-D Secure challenge. Its ID is that of the PaymentIntent. */
export interface Challenge extends Base<"challenge"> {
  readonly return_url: string | null;
}

/** One attempt to charge a card: authorized, captured or failed. */
export interface Charge extends Base<"charge"> {
  readonly amount: number;
  readonly amount_captured: number;
  readonly amount_refunded: number;
  readonly balance_transaction: string | null;
  readonly captured: boolean;
  readonly currency: string;
  readonly description: string | null;
  readonly disputed: boolean;
  readonly failure_code: string | null;
  readonly failure_message: string | null;
  readonly livemode: false;
  readonly metadata: Metadata;
  readonly paid: boolean;
  readonly payment_intent: string;
  readonly payment_method: string;
  readonly payment_method_details: { type: "card"; card: ChargedCard };
  readonly receipt_email: string | null;
  readonly refunded: boolean;
  readonly status: "succeeded" | "failed";
}

/** The public details of a card. Its fingerprint is the name of the test card. */
export interface Card {
  readonly brand: string;
  readonly exp_month: number;
  readonly exp_year: number;
  readonly fingerprint: string;
  readonly funding: string;
  readonly last4: string;
}

/** A charged card. An authorization expires at `capture_before`. */
export interface ChargedCard extends Card {
  readonly capture_before?: number;
}

/** A card that a buyer entered. */
export interface PaymentMethod extends Base<"payment_method"> {
  readonly card: Card;
  readonly customer: null;
  readonly livemode: false;
  readonly metadata: Metadata;
  readonly type: "card";
}

/** A refund. It fails if the bank returns the money later. */
export interface Refund extends Base<"refund"> {
  readonly amount: number;
  readonly balance_transaction: string;
  readonly charge: string;
  readonly currency: string;
  readonly failure_balance_transaction?: string;
  readonly failure_reason?: string;
  readonly metadata: Metadata;
  readonly payment_intent: string;
  readonly reason: string | null;
  readonly status: "pending" | "succeeded" | "failed";
}

/** A dispute of a charge. Its amount is withdrawn until the dispute is won. */
export interface Dispute extends Base<"dispute"> {
  readonly amount: number;
  readonly balance_transactions: readonly BalanceTransaction[];
  readonly charge: string;
  readonly currency: string;
  readonly is_charge_refundable: boolean;
  readonly livemode: false;
  readonly metadata: Metadata;
  readonly payment_intent: string;
  readonly reason: string;
  readonly status: "needs_response" | "won" | "lost";
}

/** One movement of the platform's balance. A debit is negative. */
export interface BalanceTransaction extends Base<"balance_transaction"> {
  readonly amount: number;
  readonly available_on: number;
  readonly balance_type: "payments";
  readonly currency: string;
  readonly description: string | null;
  readonly exchange_rate: null;
  readonly fee: 0;
  readonly fee_details: readonly [];
  readonly net: number;
  readonly reporting_category: string;
  readonly source: string;
  readonly status: "available";
  readonly type: "charge" | "refund" | "refund_failure" | "adjustment" | "transfer";
}

/** An event. `pending_webhooks` is 1 until it is delivered to the endpoint. */
export interface Event extends Base<"event"> {
  /** The connected account, if the event is about one. */
  readonly account?: string;
  readonly api_version: string;
  readonly data: { readonly object: Intent | Charge | Refund | Dispute | Account | Transfer };
  readonly livemode: false;
  readonly pending_webhooks: number;
  readonly request: { id: string | null; idempotency_key: string | null };
  readonly type: string;
}

/** A webhook endpoint, as the API shows it. */
export interface WebhookEndpoint extends Base<"webhook_endpoint"> {
  readonly api_version: string;
  /** Set for an endpoint that receives events of connected accounts. */
  readonly application: string | null;
  readonly description: null;
  readonly enabled_events: readonly string[];
  readonly livemode: false;
  readonly metadata: Metadata;
  readonly status: "enabled";
  readonly url: string;
}

/** The stored response to a request. Its ID is the idempotency key. */
export interface Answer extends Base<"answer"> {
  readonly request: string;
  readonly request_id: string;
  readonly status: number;
  readonly body: unknown;
}

/** The stored objects by type. The names are those in the journal file. */
export interface Tables {
  payment_intent: Intent;
  challenge: Challenge;
  charge: Charge;
  payment_method: PaymentMethod;
  refund: Refund;
  dispute: Dispute;
  balance_transaction: BalanceTransaction;
  account: Account;
  account_link: AccountLink;
  transfer: Transfer;
  event: Event;
  answer: Answer;
}

const prefixes: Record<string, keyof Tables> = {
  acct: "account",
  ch: "charge",
  dp: "dispute",
  pi: "payment_intent",
  pm: "payment_method",
  re: "refund",
  tr: "transfer",
  txn: "balance_transaction",
};

/** The type of the object with an ID. */
export function kindOf(id: string): keyof Tables {
  const kind = prefixes[id.split("_")[0] ?? ""];
  if (!kind) throw new Error(`no kind has ids such as ${id}`);
  return kind;
}

/** A random ID with a prefix, as Stripe generates them. */
export function newId(prefix: string): string {
  return `${prefix}_${randomBytes(12).toString("hex")}`;
}

/** The current time in Unix seconds. */
export function now(): number {
  return Math.floor(Date.now() / 1000);
}
