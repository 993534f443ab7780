import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import * as events from "@ticketing/proto/payments/v1/payment_events";
import {
  DisputeStatus,
  PaymentStatus,
  RefundReason,
  RefundStatus,
  type AttemptSchema,
  type PaymentSchema,
  type RefundSchema,
} from "@ticketing/proto/payments/v1/payment";
import { Schema, type Connection, type HydratedDocument } from "mongoose";
import { aggregate, record, touch, type AggregateFields } from "#runtime/aggregate.ts";
import { newId } from "#runtime/ids.ts";
import { toMoney } from "#runtime/money.ts";
import type { RequestMark } from "#runtime/request-id.ts";
import { feeOf, postingSchema, sale, type Posting } from "./ledger.ts";
import { ABANDONED, type Outcome } from "./outcome.ts";

type Word<E> = Exclude<keyof E, "UNSPECIFIED">;
type AttemptStatus = Word<typeof PaymentStatus>;

/** One try to take the money; written before Stripe is called, so a crash forgets none. */
export interface Attempt extends Partial<RequestMark> {
  _id: string;
  status: AttemptStatus;
  stripeId?: string | undefined;
  failureCode?: string | undefined;
  /** The bank has said no, which ends the order (R61). */
  declined?: boolean | undefined;
  createTime: Date;
}

/** Money given back, or asked back; written before Stripe is called, so a crash forgets none. */
export interface Refund extends Partial<RequestMark> {
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
export interface OrderCopy {
  userId: string;
  sellerId: string;
  ticketId: string;
  title: string;
  price: number;
  currency: string;
  expiresAt: Date;
  eventTime?: Date | undefined;
  status: "CREATED" | "AWAITING_PAYMENT" | "COMPLETED" | "CANCELLED";
  expired: boolean;
  /** The attempt that the order accepted. */
  attemptId: string;
  version: number;
}

/** The one payment of an order; its id is the order's, so there can be no second one. */
export interface PaymentFields extends AggregateFields {
  order: OrderCopy;
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
}

const attempt = new Schema<Attempt>({
  _id: { type: String, required: true },
  status: { type: String, required: true },
  stripeId: String,
  failureCode: String,
  declined: Boolean,
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

const order = new Schema<OrderCopy>(
  {
    userId: { type: String, required: true },
    sellerId: { type: String, required: true },
    ticketId: { type: String, required: true },
    title: { type: String, required: true },
    price: { type: Number, required: true },
    currency: { type: String, required: true },
    expiresAt: { type: Date, required: true },
    eventTime: Date,
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
});
aggregate(schema);
schema.index({ "attempts.status": 1, "order.status": 1 });
schema.index({ "refunds.status": 1 }, { sparse: true });
// What comes from Stripe without our metadata (a dispute, an account) is found by the intent.
schema.index({ "attempts.stripeId": 1 }, { sparse: true });
schema.index({ "order.sellerId": 1, captureTime: -1, _id: -1 });
schema.index({ captureTime: 1 }, { sparse: true });
schema.index({ "postings.time": 1 }, { sparse: true });

export const paymentModel = (db: Connection) => db.model("Payment", schema, "payments");
export type Payments = ReturnType<typeof paymentModel>;
export type Payment = HydratedDocument<PaymentFields>;

/** The statuses in which an attempt may still take money. */
const LIVE: readonly AttemptStatus[] = ["PENDING", "REQUIRES_ACTION", "AUTHORIZED"];

/** The statuses of an attempt whose money was taken, and not all of it given back. */
export const KEPT: readonly AttemptStatus[] = ["CAPTURED", "PARTLY_REFUNDED"];

/**
 * Payments that are not at their end: an attempt may still take money, or has taken too much, or money
 * is on its way back.
 */
export const UNSETTLED = {
  $or: [
    { "attempts.status": { $in: LIVE } },
    { "attempts.status": { $in: KEPT }, "order.status": "CANCELLED" as const },
    { "refunds.status": { $in: ["REQUESTED" as const, "PENDING" as const] } },
  ],
};

export const newest = (payment: PaymentFields): Attempt | undefined => payment.attempts.at(-1);

/** Whether what becomes of the newest attempt is still to be found out. */
export function isOpen(payment: PaymentFields): boolean {
  const status = newest(payment)?.status;
  return status === "PENDING" || status === "REQUIRES_ACTION";
}

const money = ({ order: { currency } }: PaymentFields, amount: number) =>
  toMoney({ amount, currency });

/** What has been given back so far. */
export const refunded = ({ refunds }: PaymentFields): number =>
  refunds.reduce((sum, { status, amount }) => (status === "SUCCEEDED" ? sum + amount : sum), 0);

const attemptToProto = (attempt: Attempt): MessageInitShape<typeof AttemptSchema> => ({
  id: attempt._id,
  stripeId: attempt.stripeId ?? "",
  status: PaymentStatus[attempt.status],
  failureCode: attempt.failureCode ?? "",
  createTime: timestampFromDate(attempt.createTime),
});

export const refundToProto = (
  payment: PaymentFields,
  refund: Refund,
): MessageInitShape<typeof RefundSchema> => ({
  id: refund._id,
  amount: money(payment, refund.amount),
  reason: RefundReason[refund.reason],
  status: RefundStatus[refund.status],
  createTime: timestampFromDate(refund.createTime),
  updateTime: timestampFromDate(refund.updateTime),
});

/** The payment as its seller may see it: the order, the amounts, where it stands and when. */
export function toSellersProto(payment: PaymentFields) {
  const { order, captureTime, dispute } = payment;
  const status = newest(payment)?.status;
  return {
    orderId: payment._id,
    sellerId: order.sellerId,
    title: order.title,
    amount: money(payment, order.price),
    refundedAmount: money(payment, refunded(payment)),
    status: status ? PaymentStatus[status] : PaymentStatus.UNSPECIFIED,
    disputeStatus: dispute ? DisputeStatus[dispute.status] : DisputeStatus.UNSPECIFIED,
    version: BigInt(payment.version),
    createTime: timestampFromDate(payment.attempts[0]?.createTime ?? payment.createTime),
    updateTime: timestampFromDate(payment.updateTime),
    ...(captureTime && { captureTime: timestampFromDate(captureTime) }),
  } satisfies MessageInitShape<typeof PaymentSchema>;
}

/** The payment as the contract has it: its newest attempt, and all that came before and after. */
export function toProto(payment: PaymentFields): MessageInitShape<typeof PaymentSchema> {
  const attempt = newest(payment);
  return {
    ...toSellersProto(payment),
    userId: payment.order.userId,
    attemptId: attempt?._id ?? "",
    stripeId: attempt?.stripeId ?? "",
    failureCode: attempt?.failureCode ?? "",
    attempts: payment.attempts.map(attemptToProto),
    refunds: payment.refunds.map((refund) => refundToProto(payment, refund)),
    ...(payment.codeOpenTime && { codeOpenTime: timestampFromDate(payment.codeOpenTime) }),
  };
}

/** Keeps the newer of our copy of the order and what an event tells. */
export function keepOrder(payment: Payment, order: OrderCopy): boolean {
  if (!payment.isNew && order.version <= payment.order.version) return false;
  payment.order = order;
  touch(payment);
  return true;
}

/**
 * As `keepOrder`, of a snapshot: no money is taken because of one. Where it says that the order has
 * accepted an attempt that may still take it, only the order's own event can tell us so.
 */
export function keepSnapshot(payment: Payment, order: OrderCopy): boolean {
  const attempt = newest(payment);
  const accepted = order.status !== "CANCELLED" && attempt?._id === order.attemptId;
  const wouldTake = accepted && LIVE.includes(attempt.status);
  return !wouldTake && keepOrder(payment, order);
}

/** Whether a person must look: a snapshot tells of money of which we know too little to take it. */
export const isInDoubt = ({ order, attempts }: PaymentFields, told: OrderCopy): boolean =>
  order.version < told.version ||
  (order.version === told.version &&
    order.status === "AWAITING_PAYMENT" &&
    !attempts.some(({ _id }) => _id === order.attemptId));

/** Begins an attempt; nothing has been asked of Stripe yet. */
export function beginAttempt(payment: Payment, mark: Partial<RequestMark>, now: number): Attempt {
  const begun: Attempt = { _id: newId(), status: "PENDING", createTime: new Date(now), ...mark };
  payment.attempts.push(begun);
  touch(payment);
  return begun;
}

/** The attempt, if it is the newest one and in one of these statuses: what a transition starts from. */
function from(
  payment: Payment,
  id: string,
  statuses: readonly AttemptStatus[],
): Attempt | undefined {
  const attempt = newest(payment);
  return attempt?._id === id && statuses.includes(attempt.status) ? attempt : undefined;
}

const tell = (
  payment: Payment,
  schema:
    | typeof events.PaymentActionRequiredSchema
    | typeof events.PaymentAuthorizedSchema
    | typeof events.PaymentVoidedSchema
    | typeof events.ChargeCreatedSchema
    | typeof events.ChargeFailedSchema,
): void => record(payment, schema, () => ({ payment: toProto(payment) }));

/** Stripe has an unconfirmed intent for the attempt, which cannot take money yet. */
export function attachIntent(payment: Payment, id: string, stripeId: string): boolean {
  const attempt = from(payment, id, ["PENDING"]);
  if (!attempt || payment.order.status !== "CREATED") return false;
  attempt.stripeId = stripeId;
  touch(payment);
  return true;
}

/** The bank asks the buyer. */
export function requireAction(payment: Payment, id: string): boolean {
  const attempt = from(payment, id, ["PENDING"]);
  if (!attempt) return false;
  attempt.status = "REQUIRES_ACTION";
  tell(payment, events.PaymentActionRequiredSchema);
  return true;
}

/** The amount is reserved; whether it is taken, orders decides. */
export function authorize(payment: Payment, id: string): boolean {
  const attempt = from(payment, id, ["PENDING", "REQUIRES_ACTION"]);
  if (!attempt) return false;
  attempt.status = "AUTHORIZED";
  tell(payment, events.PaymentAuthorizedSchema);
  return true;
}

/** The money was taken; `feeBps` of it, in hundredths of a per cent, are ours, and the rest the seller's. */
export function capture(payment: Payment, id: string, feeBps: number): boolean {
  const attempt = from(payment, id, LIVE);
  if (!attempt) return false;
  attempt.status = "CAPTURED";
  const { price } = payment.order;
  const now = new Date();
  payment.captureTime = now;
  payment.fee = feeOf(price, feeBps);
  payment.postings.push(sale(id, now, price, payment.fee));
  tell(payment, events.ChargeCreatedSchema);
  return true;
}

/** What was reserved is given up, because its order has ended. */
export function release(payment: Payment, id: string): boolean {
  const attempt = from(payment, id, ["AUTHORIZED"]);
  if (!attempt) return false;
  attempt.status = "VOIDED";
  tell(payment, events.PaymentVoidedSchema);
  return true;
}

/**
 * The attempt took no money, and cannot any more: its intent is cancelled, or was never confirmed. A
 * decline, or a reserved amount that cannot be taken, ends the order.
 */
export function fail(payment: Payment, id: string, { kind, code }: Outcome): boolean {
  const attempt = from(payment, id, LIVE);
  if (!attempt) return false;
  const declined = kind === "decline";
  const final = declined || attempt.status === "AUTHORIZED";
  attempt.status = "FAILED";
  attempt.failureCode = code;
  if (declined) attempt.declined = true;
  // The same request may be made again: it was not refused, it was not answered.
  if (code === ABANDONED.code)
    Object.assign(attempt, { requestId: undefined, requestHash: undefined });
  if (final) tell(payment, events.ChargeFailedSchema);
  else touch(payment);
  return true;
}
