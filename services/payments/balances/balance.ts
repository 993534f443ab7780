import { type Connection, Schema } from "mongoose";
import {
  type AppliedContribution,
  appliedContributionSchema,
  type Contribution,
  NO_CONTRIBUTION,
  share,
} from "../ledger.ts";

export type SourceKind = "sale" | "payout";

/** What a seller has in one currency: the ledger's sum, kept. */
export interface Balance extends Contribution {
  /** `<seller>:<currency>`. */
  _id: string;
  sellerId: string;
  currency: string;
  /** One more with each change, for compare-and-set. */
  version: number;
  /** The share that was counted last, until its thing knows that too. */
  pending?: { kind: SourceKind; id: string; counted: AppliedContribution } | undefined;
  /** Until when one instance pays out of it, and no other. */
  leaseUntil?: Date | undefined;
}

const schema = new Schema<Balance>(
  {
    _id: { type: String, required: true },
    sellerId: { type: String, required: true },
    currency: { type: String, required: true },
    ...share,
    version: { type: Number, required: true },
    pending: new Schema(
      { kind: { type: String, required: true }, id: String, counted: appliedContributionSchema },
      { _id: false },
    ),
    leaseUntil: Date,
  },
  { versionKey: false },
);

schema.index({ sellerId: 1, currency: 1 });

schema.index({ available: 1 });

export const balanceModel = (db: Connection) => db.model("Balance", schema, "balances");

export type Balances = ReturnType<typeof balanceModel>;

export const balanceId = (sellerId: string, currency: string): string => `${sellerId}:${currency}`;

/** The balance as it is; the first time, of nothing. */
export async function openBalance(
  balances: Balances,
  sellerId: string,
  currency: string,
): Promise<Balance> {
  const { n: _, ...nothing } = NO_CONTRIBUTION;
  const begun = { sellerId, currency, ...nothing, version: 0 };
  return balances
    .findByIdAndUpdate(
      balanceId(sellerId, currency),
      { $setOnInsert: begun },
      { upsert: true, returnDocument: "after" },
    )
    .orFail()
    .lean<Balance>();
}

/** So long one instance may take to pay out of a balance; one that dies keeps it no longer. */
const LEASE_MS = 300_000;

/** Does something with a balance while no other instance does; nothing, where another one is at it. */
export async function withLease(
  balances: Balances,
  _id: string,
  now: number,
  work: () => Promise<void>,
): Promise<void> {
  const leaseUntil = new Date(now + LEASE_MS);
  const isFree = { $or: [{ leaseUntil: null }, { leaseUntil: { $lte: new Date(now) } }] };
  const { modifiedCount } = await balances.updateOne({ _id, ...isFree }, { $set: { leaseUntil } });
  if (modifiedCount === 0) return;
  try {
    await work();
  } finally {
    await balances.updateOne({ _id, leaseUntil }, { $unset: { leaseUntil: 1 } });
  }
}
