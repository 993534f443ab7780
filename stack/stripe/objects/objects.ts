import { randomBytes } from "node:crypto";
import type { Account, AccountLink, Transfer } from "./connect.ts";
import type { ErrorBody } from "./errors.ts";

/** What every thing has. */
export interface Base<Name extends string> {
  readonly object: Name;
  readonly id: string;
  readonly created: number;
}

/** The states of an intent. */
export type Status =
  | "requires_payment_method"
  | "requires_confirmation"
  | "requires_action"
  | "processing"
  | "requires_capture"
  | "canceled"
  | "succeeded";

/** The metadata of any object. */
export type Metadata = Readonly<Record<string, string>>;

/** A wish to be paid, and how far it has come. */
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

/** What the buyer has to do: Stripe redirects if it was told where to return to. */
export type NextAction =
  | { type: "redirect_to_url"; redirect_to_url: { url: string; return_url: string } }
  | { type: "use_stripe_sdk"; use_stripe_sdk: { type: string; stripe_js: string } };

/** Where a buyer goes after the page of the bank. Its id is the intent's. */
export interface Challenge extends Base<"challenge"> {
  readonly return_url: string | null;
}

/** One try to take money: authorized, captured or failed. */
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

/** What may be known about a card. Its fingerprint is the name of the test card. */
export interface Card {
  readonly brand: string;
  readonly exp_month: number;
  readonly exp_year: number;
  readonly fingerprint: string;
  readonly funding: string;
  readonly last4: string;
}

/** A card that was charged: what was only reserved on it is released at `capture_before`. */
export interface ChargedCard extends Card {
  readonly capture_before?: number;
}

/** A card that a buyer gave. */
export interface PaymentMethod extends Base<"payment_method"> {
  readonly card: Card;
  readonly customer: null;
  readonly livemode: false;
  readonly metadata: Metadata;
  readonly type: "card";
}

/** Money given back; a bank may still send it back later, and then the refund has failed. */
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

/** A buyer who asks the bank for the money: it is gone until the dispute is won. */
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

/** One movement of the platform's money; what it lost has a minus. */
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

/** A thing that happened; `pending_webhooks` is 1 until the endpoint has taken it. */
export interface Event extends Base<"event"> {
  /** Whose it is, if not the platform's own. */
  readonly account?: string;
  readonly api_version: string;
  readonly data: { readonly object: Intent | Charge | Refund | Dispute | Account | Transfer };
  readonly livemode: false;
  readonly pending_webhooks: number;
  readonly request: { id: string | null; idempotency_key: string | null };
  readonly type: string;
}

/** Where events are sent, as the platform sees it. */
export interface WebhookEndpoint extends Base<"webhook_endpoint"> {
  readonly api_version: string;
  /** Of an endpoint that tells of connected accounts. */
  readonly application: string | null;
  readonly description: null;
  readonly enabled_events: readonly string[];
  readonly livemode: false;
  readonly metadata: Metadata;
  readonly status: "enabled";
  readonly url: string;
}

/** An answer kept under its idempotency key, which is its id. */
export interface Answer extends Base<"answer"> {
  readonly request: string;
  readonly request_id: string;
  readonly status: number;
  readonly body: unknown;
}

/** All that is kept, by the name of its kind. */
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

/** What kind of thing an id names. */
export function kindOf(id: string): keyof Tables {
  const kind = prefixes[id.split("_")[0] ?? ""];
  if (!kind) throw new Error(`no kind has ids such as ${id}`);
  return kind;
}

/** An id such as Stripe makes: a prefix and what nobody can guess. */
export function newId(prefix: string): string {
  return `${prefix}_${randomBytes(12).toString("hex")}`;
}

/** Stripe's clock: seconds. */
export function now(): number {
  return Math.floor(Date.now() / 1000);
}
