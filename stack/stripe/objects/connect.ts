import type { Base, Metadata } from "./base.ts";

/** A connected account, which the platform can pay after its onboarding. */
export interface Account extends Base<"account"> {
  readonly capabilities: { readonly transfers?: "active" | "inactive" };
  readonly charges_enabled: boolean;
  readonly controller: object;
  readonly country: string;
  readonly default_currency: string;
  readonly details_submitted: boolean;
  readonly email: string | null;
  readonly metadata: Metadata;
  readonly payouts_enabled: boolean;
  readonly requirements: {
    readonly currently_due: readonly string[];
    readonly disabled_reason: string | null;
    readonly eventually_due: readonly string[];
    readonly past_due: readonly string[];
    readonly pending_verification: readonly string[];
  };
  readonly type: "express" | "none";
}

/** A single-use link to the onboarding. Its ID is the secret in its URL. */
export interface AccountLink extends Base<"account_link"> {
  readonly account: string;
  readonly expires_at: number;
  readonly refresh_url: string;
  readonly return_url: string;
  /** Identifies the browser that opened the link. Null before that, and after completion. */
  readonly session: string | null;
  readonly opened: boolean;
}

/** A transfer from the platform to a connected account. */
export interface Transfer extends Base<"transfer"> {
  readonly amount: number;
  readonly amount_reversed: 0;
  readonly balance_transaction: string;
  readonly currency: string;
  readonly description: string | null;
  readonly destination: string;
  readonly livemode: false;
  readonly metadata: Metadata;
  readonly reversed: false;
  readonly source_transaction: null;
  readonly transfer_group: string | null;
}
