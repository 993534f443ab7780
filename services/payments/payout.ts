import type { PayoutStatus } from "@ticketing/proto/payments/v1/seller_service";
import { type Connection, Schema } from "mongoose";
import { appliedContributionSchema, type BalanceSource } from "./ledger.ts";
import { type Posting, postingSchema } from "./ledger.ts";

/** Earnings on their way to their seller; written before Stripe is called, so a crash forgets none. */
export interface Payout extends BalanceSource {
  /** `<seller>:<currency>:<n>`, n from 1: of two that are begun at once, only one can be stored. */
  _id: string;
  sellerId: string;
  currency: string;
  amount: number;
  /** The seller's account at Stripe. */
  accountId: string;
  status: Exclude<keyof typeof PayoutStatus, "UNSPECIFIED">;
  transferId?: string | undefined;
  failureCode?: string | undefined;
  /** How often Stripe failed by itself; part of the idempotency key, as it would repeat its fault. */
  faults: number;
  /** When Stripe was last asked to move it: what it had begun by then may yet show up in its books. */
  sentTime?: Date | undefined;
  postings: Posting[];
  createTime: Date;
  updateTime: Date;
}

const schema = new Schema<Payout>(
  {
    _id: { type: String, required: true },
    sellerId: { type: String, required: true },
    currency: { type: String, required: true },
    amount: { type: Number, required: true },
    accountId: { type: String, required: true },
    status: { type: String, required: true },
    transferId: String,
    failureCode: String,
    faults: { type: Number, default: 0 },
    sentTime: Date,
    counted: appliedContributionSchema,
    countTime: Date,
    postings: [postingSchema],
    createTime: { type: Date, required: true },
    updateTime: { type: Date, required: true },
  },
  { versionKey: false },
);

schema.index({ sellerId: 1, createTime: -1, _id: -1 });

schema.index({ status: 1 }, { partialFilterExpression: { status: "PENDING" } });

schema.index({ "postings.time": 1 });

schema.index({ countTime: 1 }, { sparse: true });

export const payoutModel = (db: Connection) => db.model("Payout", schema, "payouts");

export type Payouts = ReturnType<typeof payoutModel>;
