import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { MessageInitShape } from "@bufbuild/protobuf";
import * as events from "@ticketing/proto/orders/v1/order_events";
import { CancelReason, OrderStatus, type OrderSchema } from "@ticketing/proto/orders/v1/order";
import { Category } from "@ticketing/proto/tickets/v1/ticket";
import { Schema, type Connection } from "mongoose";
import { aggregate, record, type AggregateFields } from "#runtime/store/aggregate.ts";
import { OrderError } from "./errors.ts";
import { toMoney } from "#runtime/values/money.ts";
import type { IdempotencyKey } from "#runtime/store/request-id.ts";
import type { CategoryWord } from "./ticket-replica.ts";

type Status = "CREATED" | "AWAITING_PAYMENT" | "COMPLETED" | "CANCELLED";
type CancelReasonWord = "BUYER" | "EXPIRED" | "PAYMENT_FAILED" | "BANNED" | "REFUNDED";

export interface OrderFields extends AggregateFields, Partial<IdempotencyKey> {
  userId: string;
  sellerId: string;
  ticketId: string;
  /** What the buyer saw of the ticket; later edits apply to later sales (R15). */
  title: string;
  price: number;
  currency: string;
  /** Venue and category are absent in orders stored before these fields existed. */
  category?: CategoryWord;
  venue?: string;
  eventTime?: Date;
  timeZone?: string;
  status: Status;
  cancelReason?: CancelReasonWord;
  expiresAt: Date;
  /** Whether the hold was extended, which happens at most once. */
  extended: boolean;
  holdNumber: number;
  attemptId?: string;
  /** The client network that the hold came from, hashed; removed when the hold ends. */
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
// The hold itself (R4): while an order is in one of these statuses, no instance can insert a second
// order for the same ticket.
schema.index(
  { ticketId: 1 },
  { name: "hold", unique: true, partialFilterExpression: { status: { $in: HOLDING } } },
);
// The holds of one ticket are strictly ordered.
schema.index({ ticketId: 1, holdNumber: -1 }, { name: "holdNumber", unique: true });
schema.index(
  { userId: 1, requestId: 1 },
  { name: "request", unique: true, partialFilterExpression: { requestId: { $exists: true } } },
);
schema.index({ userId: 1, _id: -1 });
schema.index({ userId: 1, status: 1 });
schema.index({ network: 1 }, { partialFilterExpression: { network: { $exists: true } } });
schema.index({ sellerId: 1, status: 1 });
schema.index({ status: 1, expiresAt: 1 });

export const orderModel = (db: Connection) => db.model("Order", schema, "orders");
export type Orders = ReturnType<typeof orderModel>;

/** The order as a message of the contract. */
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

/** When a hold ends that would end at `time`: no later than its event begins (R16). */
export function endBeforeEvent(time: number, eventTime: Date | undefined): Date {
  return new Date(Math.min(time, eventTime?.getTime() ?? Infinity));
}

/** Opens a new order. It holds its ticket once it is saved. */
export function open(order: OrderFields): void {
  order.status = "CREATED";
  record(order, events.OrderCreatedSchema, () => ({ order: toProto(order) }));
}

export const isOverdue = (order: OrderFields, now: number): boolean =>
  order.status === "CREATED" && order.expiresAt.getTime() <= now;

function cancelFor(order: OrderFields, reason: CancelReasonWord): true {
  order.status = "CANCELLED";
  order.network = undefined;
  order.cancelReason = reason;
  const schemaOf = reason === "EXPIRED" ? events.OrderExpiredSchema : events.OrderCancelledSchema;
  record(order, schemaOf, () => ({ order: toProto(order) }));
  return true;
}

/** The buyer cancels (R7), which is possible until their payment is accepted. */
export function cancel(order: OrderFields): boolean {
  if (order.status === "CANCELLED") return false;
  if (order.status !== "CREATED") {
    throw new OrderError("ORDER_NOT_OPEN", "this order is being paid, or has been");
  }
  return cancelFor(order, "BUYER");
}

/** Its buyer or its seller is banned. An order that is being paid goes on. */
export const cancelBanned = (order: OrderFields): boolean =>
  order.status === "CREATED" && cancelFor(order, "BANNED");

/** The hold has run out, by this service's own clock (R5). */
export const expire = (order: OrderFields, now: number): boolean =>
  isOverdue(order, now) && cancelFor(order, "EXPIRED");

/**
 * Extends the hold once, while the buyer is at their bank's page: starting over would take longer. A
 * hold that has run out is not extended, and no hold outlasts the start of its event.
 */
export function extend(order: OrderFields, seconds: number, now: number): boolean {
  if (seconds === 0 || order.extended || order.status !== "CREATED" || isOverdue(order, now)) {
    return false;
  }
  const longer = endBeforeEvent(order.expiresAt.getTime() + seconds * 1000, order.eventTime);
  if (longer <= order.expiresAt) return false;
  order.extended = true;
  order.expiresAt = longer;
  record(order, events.OrderExtendedSchema, () => ({ order: toProto(order) }));
  return true;
}

/**
 * Accepts an authorized payment: the order can no longer expire. The authorization may come after the
 * hold has run out; what counts is that nothing has ended the order. Once the event has begun the order
 * expires instead (R16), and payments cancels the authorization.
 */
export function acceptPayment(order: OrderFields, attemptId: string, now: number): boolean {
  if (order.status !== "CREATED") return false;
  if (order.eventTime && order.eventTime.getTime() <= now) return cancelFor(order, "EXPIRED");
  order.status = "AWAITING_PAYMENT";
  order.network = undefined;
  order.attemptId = attemptId;
  record(order, events.OrderAwaitingPaymentSchema, () => ({ order: toProto(order) }));
  return true;
}

const isAccepted = (order: OrderFields, attemptId: string): boolean =>
  order.status === "AWAITING_PAYMENT" && order.attemptId === attemptId;

/** The accepted attempt was captured: the ticket is the buyer's. */
export function complete(order: OrderFields, attemptId: string): boolean {
  if (!isAccepted(order, attemptId)) return false;
  order.status = "COMPLETED";
  record(order, events.OrderCompletedSchema, () => ({ order: toProto(order) }));
  return true;
}

/** The card was declined, or the accepted attempt could not be captured (R61). */
export function failPayment(order: OrderFields, attemptId: string): boolean {
  if (order.status !== "CREATED" && !isAccepted(order, attemptId)) return false;
  return cancelFor(order, "PAYMENT_FAILED");
}

/**
 * The whole amount was refunded. The event of its capture may arrive after this one; it then finds the
 * order cancelled and changes nothing.
 */
export function refund(order: OrderFields, attemptId: string): boolean {
  const paid = order.status === "COMPLETED" || order.status === "AWAITING_PAYMENT";
  if (!paid || order.attemptId !== attemptId) return false;
  return cancelFor(order, "REFUNDED");
}
