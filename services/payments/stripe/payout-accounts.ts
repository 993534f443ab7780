import Stripe from "stripe";

/** A transfer to a seller's account. Its `id` makes it idempotent. */
export interface Transfer {
  id: string;
  /** Part of the idempotency key: tells an attempt from an earlier one that failed with an error of Stripe's. */
  faults: number;
  amount: number;
  currency: string;
  accountId: string;
}

export type TransferResult =
  | { outcome: "paid"; transferId: string }
  /** Stripe refuses the transfer; a retry cannot succeed. */
  | { outcome: "refused"; code: string }
  /** An error of Stripe's own, which it would repeat under the same idempotency key. */
  | { outcome: "fault"; code: string };

/** The accounts that sellers are paid out to. */
export interface PayoutAccounts {
  /** Creates an account for a seller, who then has to complete the onboarding. */
  createAccount(sellerId: string): Promise<string>;
  /** The onboarding page, valid for a few minutes and for its seller alone. */
  createOnboardingLink(accountId: string): Promise<string>;
  isReady(accountId: string): Promise<boolean>;
  /** Throws if the result is unknown. */
  createTransfer(transfer: Transfer): Promise<TransferResult>;
  /** The transfer with this id, if it was made. */
  findTransfer(id: string): Promise<{ id: string; amount: number } | undefined>;
}

/** Stripe repeats an error under the same idempotency key for a day, so the key changes more often. */
const KEY_LIFETIME_MS = 600_000;

/** Whether the account is closed or no longer connected to ours. */
const isGone = (error: unknown): boolean =>
  error instanceof Stripe.errors.StripeError &&
  (error.statusCode === 404 || error.statusCode === 403);

/** The result that an error implies. An error that does not imply a result is thrown again. */
function toRefusal(error: unknown): TransferResult {
  const { StripeInvalidRequestError, StripePermissionError } = Stripe.errors;
  const { code = "", type, statusCode = 0 } = error as Partial<Stripe.errors.StripeError>;
  // Not 409: an earlier request for the same transfer is in progress, and may still succeed.
  if (statusCode >= 500) return { outcome: "fault", code: code || "api_error" };
  // Captured money becomes available at Stripe after some days, so a retry can succeed.
  if (code === "balance_insufficient") return { outcome: "fault", code };
  if (error instanceof StripeInvalidRequestError || error instanceof StripePermissionError) {
    return { outcome: "refused", code: code || String(type) };
  }
  throw error;
}

interface Deps {
  stripe: Stripe;
  /** The storefront's address, without a trailing slash. */
  publicUrl: string;
  now: () => number;
}

async function createAccount(stripe: Stripe, sellerId: string, now: number): Promise<string> {
  const idempotencyKey = `account:${sellerId}:${Math.floor(now / KEY_LIFETIME_MS)}`;
  const { id } = await stripe.accounts.create(
    {
      controller: {
        fees: { payer: "application" },
        losses: { payments: "application" },
        stripe_dashboard: { type: "express" },
      },
      capabilities: { transfers: { requested: true } },
      metadata: { user_id: sellerId },
    },
    { idempotencyKey },
  );
  return id;
}

/** Stripe Connect: each seller has an Express account, to which we transfer what they earned. */
export function stripeAccounts({ stripe, publicUrl, now }: Deps): PayoutAccounts {
  return {
    createAccount: (sellerId) => createAccount(stripe, sellerId, now()),

    async createOnboardingLink(accountId) {
      const page = `${publicUrl}/earnings`;
      const { url } = await stripe.accountLinks.create({
        account: accountId,
        type: "account_onboarding",
        return_url: page,
        refresh_url: page,
      });
      return url;
    },

    async isReady(accountId) {
      try {
        const { capabilities, payouts_enabled } = await stripe.accounts.retrieve(accountId);
        return payouts_enabled && capabilities?.transfers === "active";
      } catch (error) {
        if (isGone(error)) return false;
        throw error;
      }
    },

    async createTransfer({ id, faults, amount, currency, accountId }) {
      try {
        const made = await stripe.transfers.create(
          {
            amount,
            currency: currency.toLowerCase(),
            destination: accountId,
            transfer_group: id,
            metadata: { payout_id: id },
          },
          { idempotencyKey: faults === 0 ? id : `${id}:${faults}` },
        );
        return { outcome: "paid", transferId: made.id };
      } catch (error) {
        return toRefusal(error);
      }
    },

    async findTransfer(id) {
      const { data } = await stripe.transfers.list({ transfer_group: id, limit: 1 });
      return data[0];
    },
  };
}
