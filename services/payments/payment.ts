import type {
  DisputeStatus,
  PaymentStatus,
  RefundReason,
  RefundStatus,
} from "@ticketing/proto/payments/v1/payment";
import { Schema, type Connection, type HydratedDocument, type Model } from "mongoose";
import { aggregate, type AggregateFields } from "#runtime/store/aggregate.ts";
import type { IdempotencyKey } from "#runtime/store/request-id.ts";
import { appliedContributionSchema, type BalanceSource } from "./balances/balance.ts";
import { postingSchema, type Posting } from "./ledger.ts";
import type { Poll } from "./settlement/poll-claim.ts";

type Word<E> = Exclude<keyof E, "UNSPECIFIED">;
export type AttemptStatus = Word<typeof PaymentStatus>;

/** One try to take the money; written before Stripe is called, so a crash forgets none. */
export interface Attempt extends Partial<IdempotencyKey> {
  _id: string;
  status: AttemptStatus;
  stripeId?: string | undefined;
  failureCode?: string | undefined;
  /** The bank has said no, which ends the order (R61). */
  declined?: boolean | undefined;
  /** Its buyer has tried so many cards that they are not told why this one was refused. */
  terse?: boolean | undefined;
  createTime: Date;
}

/** Money given back, or asked back; written before Stripe is called, so a crash forgets none. */
export interface Refund extends Partial<IdempotencyKey> {
  _id: string;
  amount: number;
  reason: Word<typeof RefundReason>;
  status: Word<typeof RefundStatus>;
  /** Who asked for it; empty where nobody of ours did. */
  userId: string;
  stripeId?: string | undefined;
  /** How often Stripe failed by itself; part of the idempotency key, as it would repeat its fault. */
  faults: number;
  createTime: Date;
  updateTime: Date;
}

/** The bank takes the money back over everybody's heads. */
export interface Dispute {
  /** Stripe's id. */
  _id: string;
  amount: number;
  status: Word<typeof DisputeStatus>;
}

/** Our copy of the order, kept by events. */
export interface OrderReplica {
  userId: string;
  sellerId: string;
  ticketId: string;
  title: string;
  price: number;
  currency: string;
  expiresAt: Date;
  eventTime?: Date | undefined;
  /** The IANA name of the time zone that the event time is shown in; absent where nobody said. */
  timeZone?: string | undefined;
  /** Where the event takes place; empty where the seller did not say, absent where orders did not. */
  venue?: string | undefined;
  status: "CREATED" | "AWAITING_PAYMENT" | "COMPLETED" | "CANCELLED";
  expired: boolean;
  /** The attempt that the order accepted. */
  attemptId: string;
  version: number;
}

/** The one payment of an order; its id is the order's, so there can be no second one. */
export interface PaymentFields extends AggregateFields, BalanceSource {
  order: OrderReplica;
  attempts: Attempt[];
  refunds: Refund[];
  dispute?: Dispute | undefined;
  /** When the money was taken. */
  captureTime?: Date | undefined;
  /** What is kept of the price, in minor units; fixed when the money is taken. */
  fee: number;
  /** When the buyer has opened the ticket's code. */
  codeOpenTime?: Date | undefined;
  /** Whose money it is. */
  postings: Posting[];
  /** When Stripe may be asked again by itself; see `polling.ts`. */
  poll?: Poll | undefined;
}

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

const dispute = new Schema<Dispute>({
  _id: { type: String, required: true },
  amount: { type: Number, required: true },
  status: { type: String, required: true },
});

const order = new Schema<OrderReplica>(
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
// What changes a sale may change its seller's balance: the same write marks it.
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
// What comes from Stripe without our metadata (a dispute, an account) is found by the intent.
schema.index({ "attempts.stripeId": 1 }, { sparse: true });
schema.index({ "order.sellerId": 1, captureTime: -1, _id: -1 });
schema.index({ "order.userId": 1, _id: -1 });
schema.index({ captureTime: 1 }, { sparse: true });
schema.index({ "order.ticketId": 1 });
schema.index({ "postings.time": 1 }, { sparse: true });

export type Payments = Model<PaymentFields>;
export const paymentModel = (db: Connection): Payments =>
  db.model<PaymentFields>("Payment", schema, "payments");
export type Payment = HydratedDocument<PaymentFields>;

/** The statuses in which an attempt may still take money. */
export const LIVE_STATUSES: readonly AttemptStatus[] = ["PENDING", "REQUIRES_ACTION", "AUTHORIZED"];

/** The statuses of an attempt whose money was taken, and not all of it given back. */
export const CAPTURED_STATUSES: readonly AttemptStatus[] = ["CAPTURED", "PARTLY_REFUNDED"];

/**
 * Payments that are not at their end: an attempt may still take money, or has taken too much, or money
 * is on its way back.
 */
export const UNSETTLED = {
  $or: [
    { "attempts.status": { $in: LIVE_STATUSES } },
    // Of one that awaits its payment, another attempt than was accepted may have taken it.
    {
      "attempts.status": { $in: CAPTURED_STATUSES },
      "order.status": { $in: ["CANCELLED" as const, "AWAITING_PAYMENT" as const] },
    },
    { "refunds.status": { $in: ["REQUESTED" as const, "PENDING" as const] } },
  ],
};

export const newestAttempt = (payment: PaymentFields): Attempt | undefined =>
  payment.attempts.at(-1);

/** Whether nothing may come of an attempt any more: its order has ended, or has accepted another one. */
export const isSuperfluous = ({ order }: PaymentFields, attemptId: string): boolean =>
  order.status === "CANCELLED" ||
  (order.status !== "CREATED" && order.attemptId !== "" && order.attemptId !== attemptId);

/** Whether what becomes of the newest attempt is still to be found out. */
export function isOpen(payment: PaymentFields): boolean {
  const status = newestAttempt(payment)?.status;
  return status === "PENDING" || status === "REQUIRES_ACTION";
}

/** What has been given back so far. */
export const refundedAmount = ({ refunds }: PaymentFields): number =>
  refunds.reduce((sum, { status, amount }) => (status === "SUCCEEDED" ? sum + amount : sum), 0);
