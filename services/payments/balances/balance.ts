import { type Connection, Schema } from "mongoose";
import {
  type AppliedContribution,
  appliedContributionSchema,
  type Contribution,
  NO_CONTRIBUTION,
  contributionFields,
} from "../ledger.ts";

export type SourceKind = "sale" | "payout";

/** A seller's balance in one currency, materialized from the ledger. */
export interface Balance extends Contribution {
  /** `<seller>:<currency>`. */
  _id: string;
  sellerId: string;
  currency: string;
  /** Increases with each change, for compare-and-set. */
  version: number;
  /** The contribution that was applied last, until its source has stored it too. */
  pending?: { kind: SourceKind; id: string; counted: AppliedContribution } | undefined;
  /** Until when one instance holds the lease to pay out of it. */
  leaseUntil?: Date | undefined;
}

const schema = new Schema<Balance>(
  {
    _id: { type: String, required: true },
    sellerId: { type: String, required: true },
    currency: { type: String, required: true },
    ...contributionFields,
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

/** The balance, which is created when it is first needed. */
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

/** An instance that crashes holds a lease no longer than this. */
const LEASE_MS = 300_000;

/** Works on a balance under a lease. It does nothing while another instance holds the lease. */
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
