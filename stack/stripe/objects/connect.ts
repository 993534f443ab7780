import type { Base, Metadata } from "./objects.ts";

/** Somebody whom the platform can pay, once the onboarding is done. */
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

/** A way to the onboarding that can be gone once; its id is the secret in its address. */
export interface AccountLink extends Base<"account_link"> {
  readonly account: string;
  readonly expires_at: number;
  readonly refresh_url: string;
  readonly return_url: string;
  /** Whoever opened it proves that by this; it is null until then, and when all is said. */
  readonly session: string | null;
  readonly opened: boolean;
}

/** Money that went from the platform to an account. */
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
