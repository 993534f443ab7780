import Stripe from "stripe";

/** Money on its way to an account; the same `id` twice is the same transfer, and made once. */
export interface Transfer {
  id: string;
  /** Distinguishes a try from an earlier one that ended with a fault and without a transfer. */
  faults: number;
  amount: number;
  currency: string;
  accountId: string;
}

export type TransferResult =
  | { outcome: "paid"; transferId: string }
  /** Definitely not, and trying again is no use. */
  | { outcome: "refused"; code: string }
  /** Not this time; what the same try would be answered again. */
  | { outcome: "fault"; code: string };

/** Where sellers have their money paid out to. */
export interface PayoutAccounts {
  /** Opens an account for a seller, who has then to say who they are. */
  createAccount(sellerId: string): Promise<string>;
  /** The page on which they do; good for a few minutes, and for its seller alone. */
  createOnboardingLink(accountId: string): Promise<string>;
  isReady(accountId: string): Promise<boolean>;
  /** Throws where it is not known what became of it. */
  createTransfer(transfer: Transfer): Promise<TransferResult>;
  /** The transfer of this id that was made, if any. */
  findTransfer(id: string): Promise<{ id: string; amount: number } | undefined>;
}

/** Under a key Stripe repeats its own faults for a day; nobody waits for their page so long. */
const KEY_MS = 600_000;

/** Nothing is there, or nothing that we may see: the account was closed or taken away from us. */
const isGone = (error: unknown): boolean =>
  error instanceof Stripe.errors.StripeError &&
  (error.statusCode === 404 || error.statusCode === 403);

/** What an error says of a transfer; one that does not say whether it was made is thrown again. */
function toRefusal(error: unknown): TransferResult {
  const { StripeInvalidRequestError, StripePermissionError } = Stripe.errors;
  const { code = "", type, statusCode = 0 } = error as Partial<Stripe.errors.StripeError>;
  // Not 409: another try of the same transfer is under way, and may yet succeed.
  if (statusCode >= 500) return { outcome: "fault", code: code || "api_error" };
  // Buyers' money takes Stripe some days to make available; that is not the seller's fault.
  if (code === "balance_insufficient") return { outcome: "fault", code };
  if (error instanceof StripeInvalidRequestError || error instanceof StripePermissionError) {
    return { outcome: "refused", code: code || String(type) };
  }
  throw error;
}

interface Deps {
  stripe: Stripe;
  /** Where people see the storefront; without a slash at its end. */
  publicUrl: string;
  now: () => number;
}

/** Stripe Connect: each seller has an Express account, to which we transfer what they earned. */
export function stripeAccounts({ stripe, publicUrl, now }: Deps): PayoutAccounts {
  return {
    async createAccount(sellerId) {
      const idempotencyKey = `account:${sellerId}:${Math.floor(now() / KEY_MS)}`;
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
    },

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
