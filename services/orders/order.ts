import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { MessageInitShape } from "@bufbuild/protobuf";
import * as events from "@ticketing/proto/orders/v1/order_events";
import { CancelReason, OrderStatus, type OrderSchema } from "@ticketing/proto/orders/v1/order";
import { Category } from "@ticketing/proto/tickets/v1/ticket";
import { Schema, type Connection, type HydratedDocument } from "mongoose";
import { aggregate, record, type AggregateFields } from "#runtime/store/aggregate.ts";
import { OrderError } from "./errors.ts";
import { toMoney } from "#runtime/money.ts";
import type { IdempotencyKey } from "#runtime/store/request-id.ts";
import type { CategoryWord } from "./ticket.ts";

type Status = "CREATED" | "AWAITING_PAYMENT" | "COMPLETED" | "CANCELLED";
type Reason = "BUYER" | "EXPIRED" | "PAYMENT_FAILED" | "BANNED" | "REFUNDED";

export interface OrderFields extends AggregateFields, Partial<IdempotencyKey> {
  userId: string;
  sellerId: string;
  ticketId: string;
  /** The ticket as the buyer saw it: later edits are for later sales (R15). */
  title: string;
  price: number;
  currency: string;
  /** Venue and category are absent in orders from before they were kept. */
  category?: CategoryWord;
  venue?: string;
  eventTime?: Date;
  timeZone?: string;
  status: Status;
  cancelReason?: Reason;
  expiresAt: Date;
  /** Whether the hold was made longer, which happens once at most. */
  extended: boolean;
  holdNumber: number;
  attemptId?: string;
  /** Where the hold came from, as a hash; forgotten when it is over. */
  network?: string | undefined;
}

/** The statuses in which an order holds its ticket. */
export const HOLDING: readonly Status[] = ["CREATED", "AWAITING_PAYMENT", "COMPLETED"];
export const ACTIVE: readonly Status[] = ["CREATED", "AWAITING_PAYMENT"];
export const PAST: readonly Status[] = ["COMPLETED", "CANCELLED"];

const schema = new Schema<OrderFields>({
  userId: { type: String, required: true },
  sellerId: { type: String, required: true },
  ticketId: { type: String, required: true },
  title: { type: String, required: true },
  price: { type: Number, required: true },
  currency: { type: String, required: true },
  category: String,
  venue: String,
  eventTime: Date,
  timeZone: String,
  status: { type: String, required: true },
  cancelReason: String,
  expiresAt: { type: Date, required: true },
  extended: { type: Boolean, default: false },
  holdNumber: { type: Number, required: true },
  attemptId: String,
  network: String,
  requestId: String,
  requestHash: String,
});
aggregate(schema);
// The hold itself (R4): while an order is in one of these statuses, no second one of its ticket can
// be inserted, by whichever replica, however close the race.
schema.index(
  { ticketId: 1 },
  { name: "hold", unique: true, partialFilterExpression: { status: { $in: HOLDING } } },
);
// The holds of one ticket are strictly ordered, whatever happens to their orders.
schema.index({ ticketId: 1, holdNumber: -1 }, { name: "holdNumber", unique: true });
schema.index(
  { userId: 1, requestId: 1 },
  { name: "request", unique: true, partialFilterExpression: { requestId: { $exists: true } } },
);
schema.index({ userId: 1, _id: -1 });
schema.index({ network: 1 }, { partialFilterExpression: { network: { $exists: true } } });
schema.index({ sellerId: 1, status: 1 });
schema.index({ status: 1, expiresAt: 1 });

export const orderModel = (db: Connection) => db.model("Order", schema, "orders");
export type Orders = ReturnType<typeof orderModel>;
export type Order = HydratedDocument<OrderFields>;

/** The order as the contract has it. */
export function toProto(order: OrderFields): MessageInitShape<typeof OrderSchema> {
  return {
    id: order._id,
    userId: order.userId,
    sellerId: order.sellerId,
    ticketId: order.ticketId,
    title: order.title,
    price: toMoney({ amount: order.price, currency: order.currency }),
    status: OrderStatus[order.status],
    cancelReason: order.cancelReason ? CancelReason[order.cancelReason] : CancelReason.UNSPECIFIED,
    expiresAt: timestampFromDate(order.expiresAt),
    version: BigInt(order.version),
    holdNumber: BigInt(order.holdNumber),
    ...(order.eventTime ? { eventTime: timestampFromDate(order.eventTime) } : {}),
    ...(order.venue === undefined ? {} : { venue: order.venue }),
    category: Category[order.category ?? "UNSPECIFIED"],
    timeZone: order.timeZone ?? "",
    attemptId: order.attemptId ?? "",
    createTime: timestampFromDate(order.createTime),
    updateTime: timestampFromDate(order.updateTime),
  };
}

/** The end of a hold that would end at `time`: with its event at the latest (R16). */
export function withinEvent(time: number, eventTime: Date | undefined): Date {
  return new Date(Math.min(time, eventTime?.getTime() ?? Infinity));
}

/** A new order, holding its ticket once it is saved. */
export function open(order: Order): void {
  order.status = "CREATED";
  record(order, events.OrderCreatedSchema, () => ({ order: toProto(order) }));
}

export const isOverdue = (order: OrderFields, now: number): boolean =>
  order.status === "CREATED" && order.expiresAt.getTime() <= now;

function end(order: Order, reason: Reason): true {
  order.status = "CANCELLED";
  order.network = undefined;
  order.cancelReason = reason;
  const schemaOf = reason === "EXPIRED" ? events.OrderExpiredSchema : events.OrderCancelledSchema;
  record(order, schemaOf, () => ({ order: toProto(order) }));
  return true;
}

/** The buyer gives the ticket back (R7), which is theirs to do until a payment is being taken. */
export function cancel(order: Order): boolean {
  if (order.status === "CANCELLED") return false;
  if (order.status !== "CREATED") {
    throw new OrderError("ORDER_NOT_OPEN", "this order is being paid, or has been");
  }
  return end(order, "BUYER");
}

/** Its buyer or its seller is out. What is being paid is finished. */
export const ban = (order: Order): boolean => order.status === "CREATED" && end(order, "BANNED");

/** Time is up, by this service's clock and nobody else's (R5). */
export const expire = (order: Order, now: number): boolean =>
  isOverdue(order, now) && end(order, "EXPIRED");

/**
 * Gives the buyer more time, once, because their bank is asking them: leaving its page to start over
 * would cost more of it. An order whose time is up gets none, and no order outlasts its event.
 */
export function extend(order: Order, seconds: number, now: number): boolean {
  if (seconds === 0 || order.extended || order.status !== "CREATED" || isOverdue(order, now)) {
    return false;
  }
  const longer = withinEvent(order.expiresAt.getTime() + seconds * 1000, order.eventTime);
  if (longer <= order.expiresAt) return false;
  order.extended = true;
  order.expiresAt = longer;
  record(order, events.OrderExtendedSchema, () => ({ order: toProto(order) }));
  return true;
}

/**
 * Accepts a payment that was authorized: the order can no longer expire. It may come after the time
 * is up; what counts is that nothing ended the order before. Once the event has begun nothing is
 * bought any more (R16): then the order expires, and payments gives the authorization up.
 */
export function accept(order: Order, attemptId: string, now: number): boolean {
  if (order.status !== "CREATED") return false;
  if (order.eventTime && order.eventTime.getTime() <= now) return end(order, "EXPIRED");
  order.status = "AWAITING_PAYMENT";
  order.network = undefined;
  order.attemptId = attemptId;
  record(order, events.OrderAwaitingPaymentSchema, () => ({ order: toProto(order) }));
  return true;
}

const isAccepted = (order: Order, attemptId: string): boolean =>
  order.status === "AWAITING_PAYMENT" && order.attemptId === attemptId;

/** The money of the accepted attempt was taken: the ticket is the buyer's. */
export function complete(order: Order, attemptId: string): boolean {
  if (!isAccepted(order, attemptId)) return false;
  order.status = "COMPLETED";
  record(order, events.OrderCompletedSchema, () => ({ order: toProto(order) }));
  return true;
}

/** The card was declined, or the money of the accepted attempt could not be taken (R61). */
export function failPayment(order: Order, attemptId: string): boolean {
  if (order.status !== "CREATED" && !isAccepted(order, attemptId)) return false;
  return end(order, "PAYMENT_FAILED");
}

/**
 * The whole amount was given back. The word that it was taken may come later than this one; it then
 * finds the order cancelled, as it would have left it.
 */
export function refund(order: Order, attemptId: string): boolean {
  const paid = order.status === "COMPLETED" || order.status === "AWAITING_PAYMENT";
  if (!paid || order.attemptId !== attemptId) return false;
  return end(order, "REFUNDED");
}
