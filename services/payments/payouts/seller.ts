import { Schema, type Connection } from "mongoose";
import type { PayoutAccounts } from "../stripe/payout-accounts.ts";
import { growingIntervalMs } from "../stripe/poll-interval.ts";
import { DAY_MS, HOUR_MS } from "#runtime/values/time.ts";

/** A seller's account at Stripe. A seller who has not begun the onboarding has none. */
export interface Seller {
  /** The user's id. */
  _id: string;
  /** Their account at Stripe. */
  accountId: string;
  /** Whether the account could be paid out when it was last fetched. */
  ready: boolean;
  /** Since when `ready` has its value. */
  changeTime: Date;
  /** When the account was last fetched. */
  updateTime: Date;
  /** When the account is fetched next while money waits for it. `ask_time` in the contract, and in the store. */
  askTime?: Date | undefined;
}

const schema = new Schema<Seller>(
  {
    _id: { type: String, required: true },
    accountId: { type: String, required: true },
    ready: { type: Boolean, required: true },
    changeTime: { type: Date, required: true },
    updateTime: { type: Date, required: true },
    askTime: Date,
  },
  { versionKey: false },
);
schema.index({ accountId: 1 }, { unique: true });

export const sellerModel = (db: Connection) => db.model("Seller", schema, "sellers");
export type Sellers = ReturnType<typeof sellerModel>;

export interface SellerDeps {
  sellers: Sellers;
  accounts: PayoutAccounts;
  now: () => number;
}

/** Stripe's onboarding page for a seller. The first call creates the account. */
export async function createOnboardingLink(deps: SellerDeps, sellerId: string): Promise<string> {
  const { sellers, accounts, now } = deps;
  const known = await sellers.findById(sellerId).lean<Seller>();
  if (known) return accounts.createOnboardingLink(known.accountId);
  const at = new Date(now());
  const accountId = await accounts.createAccount(sellerId);
  // Of two concurrent calls, the first one's account is stored; the other account stays unused.
  const seller = await sellers
    .findByIdAndUpdate(
      sellerId,
      { $setOnInsert: { accountId, ready: false, changeTime: at, updateTime: at } },
      { upsert: true, returnDocument: "after" },
    )
    .lean<Seller>();
  return accounts.createOnboardingLink(seller?.accountId ?? accountId);
}

/** Fetches a seller's account from Stripe and stores whether it is ready, which it returns. */
export async function refreshAccount(
  { sellers, accounts, now }: SellerDeps,
  { _id, accountId }: Pick<Seller, "_id" | "accountId">,
): Promise<boolean> {
  const ready = await accounts.isReady(accountId);
  const at = new Date(now());
  await sellers.updateOne({ _id, ready: !ready }, { ready, changeTime: at });
  await sellers.updateOne({ _id }, { updateTime: at });
  return ready;
}

const WEEK_MS = 7 * DAY_MS;

/**
 * Fetches the account of a seller who was not ready, in one instance at a time, and less often while
 * nothing changes. Returns whether the account is ready now.
 */
export async function refreshWhenDue(deps: SellerDeps, seller: Seller): Promise<boolean> {
  const { sellers, now } = deps;
  const { _id, askTime = null, changeTime } = seller;
  if (askTime && askTime.getTime() > now()) return false;
  const interval = growingIntervalMs(now() - changeTime.getTime(), HOUR_MS, WEEK_MS);
  const next = { askTime: new Date(now() + interval) };
  const { modifiedCount } = await sellers.updateOne({ _id, askTime }, next);
  return modifiedCount > 0 && refreshAccount(deps, seller);
}
