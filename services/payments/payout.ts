import type { PayoutStatus } from "@ticketing/proto/payments/v1/seller_service";
import { type Connection, Schema } from "mongoose";
import { appliedContributionSchema, type BalanceSource } from "./ledger.ts";
import { type Posting, postingSchema } from "./ledger.ts";

/** A payout of earnings to their seller, stored before Stripe is called, so that a crash loses none. */
export interface Payout extends BalanceSource {
  /** `<seller>:<currency>:<n>`, n from 1: of two concurrent payouts only one can be stored. */
  _id: string;
  sellerId: string;
  currency: string;
  amount: number;
  /** The seller's account at Stripe. */
  accountId: string;
  status: Exclude<keyof typeof PayoutStatus, "UNSPECIFIED">;
  transferId?: string | undefined;
  failureCode?: string | undefined;
  /** The number of errors of Stripe's own. Part of the idempotency key, under which Stripe repeats an error. */
  faults: number;
  /** When the transfer was last requested: that request may still succeed. */
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
