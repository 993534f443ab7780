import { type Connection, Schema } from "mongoose";
import { aggregate } from "#runtime/store/aggregate.ts";
import { appliedContributionSchema } from "./ledger.ts";
import { postingSchema } from "./ledger.ts";
import type {
  Attempt,
  Dispute,
  OrderReplica,
  PaymentFields,
  Payments,
  Refund,
  Poll,
} from "./payment.ts";

const attempt = new Schema<Attempt>({
  _id: { type: String, required: true },
  status: { type: String, required: true },
  stripeId: String,
  failureCode: String,
  declined: Boolean,
  terse: Boolean,
  createTime: { type: Date, required: true },
  requestId: String,
  requestHash: String,
});

const refund = new Schema<Refund>({
  _id: { type: String, required: true },
  amount: { type: Number, required: true },
  reason: { type: String, required: true },
  status: { type: String, required: true },
  userId: { type: String, default: "" },
  stripeId: String,
  faults: { type: Number, default: 0 },
  createTime: { type: Date, required: true },
  updateTime: { type: Date, required: true },
  requestId: String,
  requestHash: String,
});

export const dispute = new Schema<Dispute>({
  _id: { type: String, required: true },
  amount: { type: Number, required: true },
  status: { type: String, required: true },
});

export const order = new Schema<OrderReplica>(
  {
    userId: { type: String, required: true },
    sellerId: { type: String, required: true },
    ticketId: { type: String, required: true },
    title: { type: String, required: true },
    price: { type: Number, required: true },
    currency: { type: String, required: true },
    expiresAt: { type: Date, required: true },
    eventTime: Date,
    timeZone: String,
    venue: String,
    status: { type: String, required: true },
    expired: { type: Boolean, required: true },
    attemptId: { type: String, default: "" },
    version: { type: Number, required: true },
  },
  { _id: false },
);

const schema = new Schema<PaymentFields>({
  order: { type: order, required: true },
  attempts: [attempt],
  refunds: [refund],
  dispute,
  captureTime: Date,
  fee: { type: Number, default: 0 },
  codeOpenTime: Date,
  postings: [postingSchema],
  counted: appliedContributionSchema,
  countTime: Date,
  poll: new Schema<Poll>(
    { time: { type: Date, required: true }, version: { type: Number, required: true } },
    { _id: false },
  ),
});

aggregate(schema);

// A changed sale may change its seller's balance, so the same write marks the sale as due for it.
schema.pre("save", function () {
  if (!this.captureTime) return;
  this.countTime = new Date(0);
  this.markModified("countTime");
});

schema.index({ countTime: 1 }, { sparse: true });

schema.index(
  { "order.sellerId": 1, countTime: 1 },
  { partialFilterExpression: { countTime: { $exists: true } } },
);

schema.index({ "attempts.status": 1, "order.status": 1 });

schema.index({ "refunds.status": 1 }, { sparse: true });

// Stripe objects without our metadata (such as disputes) are found by the intent.
schema.index({ "attempts.stripeId": 1 }, { sparse: true });

schema.index({ "order.sellerId": 1, captureTime: -1, _id: -1 });

schema.index({ "order.userId": 1, _id: -1 });

schema.index({ captureTime: 1 }, { sparse: true });

schema.index({ "order.ticketId": 1 });

schema.index({ "postings.time": 1 }, { sparse: true });

export const paymentModel = (db: Connection): Payments => db.model("Payment", schema, "payments");
