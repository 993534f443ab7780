import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import * as events from "@ticketing/proto/payments/v1/payment_events";
import { PaymentStatus, type PaymentSchema } from "@ticketing/proto/payments/v1/payment";
import { Schema, type Connection, type HydratedDocument } from "mongoose";
import { aggregate, record, touch, type AggregateFields } from "#runtime/aggregate.ts";
import { newId } from "#runtime/ids.ts";
import { toMoney } from "#runtime/money.ts";
import type { RequestMark } from "#runtime/request-id.ts";
import { ABANDONED, type Outcome } from "./outcome.ts";

type AttemptStatus = Exclude<keyof typeof PaymentStatus, "UNSPECIFIED">;

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

/** Our copy of the order, kept by events. */
export interface OrderCopy {
  userId: string;
  sellerId: string;
  ticketId: string;
  title: string;
  price: number;
  currency: string;
  expiresAt: Date;
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

const order = new Schema<OrderCopy>(
  {
    userId: { type: String, required: true },
    sellerId: { type: String, required: true },
    ticketId: { type: String, required: true },
    title: { type: String, required: true },
    price: { type: Number, required: true },
    currency: { type: String, required: true },
    expiresAt: { type: Date, required: true },
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
});
aggregate(schema);
schema.index({ "attempts.status": 1, "order.status": 1 });

export const paymentModel = (db: Connection) => db.model("Payment", schema, "payments");
export type Payments = ReturnType<typeof paymentModel>;
export type Payment = HydratedDocument<PaymentFields>;

/** The statuses in which an attempt may still take money. */
const LIVE: readonly AttemptStatus[] = ["PENDING", "REQUIRES_ACTION", "AUTHORIZED"];

/** Payments that are not at their end: an attempt may still take money, or has taken too much. */
export const UNSETTLED = {
  $or: [
    { "attempts.status": { $in: LIVE } },
    { "attempts.status": "CAPTURED" as const, "order.status": "CANCELLED" as const },
  ],
};

export const newest = (payment: PaymentFields): Attempt | undefined => payment.attempts.at(-1);

/** Whether what becomes of the newest attempt is still to be found out. */
export function isOpen(payment: PaymentFields): boolean {
  const status = newest(payment)?.status;
  return status === "PENDING" || status === "REQUIRES_ACTION";
}

/** The payment as the contract has it: its newest attempt. */
export function toProto(payment: PaymentFields): MessageInitShape<typeof PaymentSchema> {
  const attempt = newest(payment);
  return {
    orderId: payment._id,
    attemptId: attempt?._id ?? "",
    stripeId: attempt?.stripeId ?? "",
    amount: toMoney({ amount: payment.order.price, currency: payment.order.currency }),
    status: attempt ? PaymentStatus[attempt.status] : PaymentStatus.UNSPECIFIED,
    failureCode: attempt?.failureCode ?? "",
    version: BigInt(payment.version),
    createTime: timestampFromDate(payment.attempts[0]?.createTime ?? payment.createTime),
    updateTime: timestampFromDate(payment.updateTime),
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
  touch(payment);
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

/** The money was taken. */
export function capture(payment: Payment, id: string): boolean {
  const attempt = from(payment, id, LIVE);
  if (!attempt) return false;
  attempt.status = "CAPTURED";
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

/** Money that was taken was given back: its order had ended, or somebody did so by hand. */
export function giveBack(payment: Payment, id: string): boolean {
  const attempt = from(payment, id, ["CAPTURED"]);
  if (!attempt) return false;
  attempt.status = "REFUNDED";
  record(payment, events.ChargeRefundedSchema, () => ({ payment: toProto(payment) }));
  return true;
}
