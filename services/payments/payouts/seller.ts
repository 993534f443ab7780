import { Schema, type Connection } from "mongoose";
import type { PayoutAccounts } from "../stripe/payout-accounts.ts";
import { growingIntervalMs } from "../stripe/poll-interval.ts";

/** Somebody who sells, and where their money goes; who has not begun with that has none. */
export interface Seller {
  /** The user's id. */
  _id: string;
  /** Their account at Stripe. */
  accountId: string;
  /** Whether Stripe knows all that it must, as it said when it was last asked. */
  ready: boolean;
  /** Since when it says so. */
  changeTime: Date;
  /** When it was last asked. */
  updateTime: Date;
  /** When it is asked again by itself, where money waits for the answer. */
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

/** The page on which a seller tells Stripe what it must know; the first time, of a new account. */
export async function createOnboardingLink(deps: SellerDeps, sellerId: string): Promise<string> {
  const { sellers, accounts, now } = deps;
  const known = await sellers.findById(sellerId).lean<Seller>();
  if (known) return accounts.createOnboardingLink(known.accountId);
  const at = new Date(now());
  const accountId = await accounts.createAccount(sellerId);
  // Of two at once, the first one's account stays; the other one is never used.
  const seller = await sellers
    .findByIdAndUpdate(
      sellerId,
      { $setOnInsert: { accountId, ready: false, changeTime: at, updateTime: at } },
      { upsert: true, returnDocument: "after" },
    )
    .lean<Seller>();
  return accounts.createOnboardingLink(seller?.accountId ?? accountId);
}

/** Asks Stripe how a seller's account is now, and keeps it. */
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

const HOUR_MS = 3_600_000;
const WEEK_MS = 7 * 24 * HOUR_MS;

/**
 * Asks how the account of a seller is who was not ready: from one instance at a time, and ever more
 * rarely where nothing changes. Answers whether they are ready now.
 */
export async function refreshWhenDue(deps: SellerDeps, seller: Seller): Promise<boolean> {
  const { sellers, now } = deps;
  const { _id, askTime = null, changeTime } = seller;
  if (askTime && askTime.getTime() > now()) return false;
  const gap = growingIntervalMs(now() - changeTime.getTime(), HOUR_MS, WEEK_MS);
  const next = { askTime: new Date(now() + gap) };
  const { modifiedCount } = await sellers.updateOne({ _id, askTime }, next);
  return modifiedCount > 0 && refreshAccount(deps, seller);
}
