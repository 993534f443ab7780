import { timestampDate } from "@bufbuild/protobuf/wkt";
import { CancelReason, OrderStatus, type Order } from "@ticketing/proto/orders/v1/order";
import {
  OrderAwaitingPaymentSchema,
  OrderCancelledSchema,
  OrderCompletedSchema,
  OrderCreatedSchema,
  OrderExpiredSchema,
} from "@ticketing/proto/orders/v1/order_events";
import { update } from "#runtime/aggregate.ts";
import { on, type EventHandler } from "#runtime/events.ts";
import { toMinor } from "#runtime/money.ts";
import { duplicateOf } from "#runtime/mongo.ts";
import { keepOrder, type OrderCopy, type Payments } from "./payment.ts";

const words = {
  [OrderStatus.CREATED]: "CREATED",
  [OrderStatus.AWAITING_PAYMENT]: "AWAITING_PAYMENT",
  [OrderStatus.COMPLETED]: "COMPLETED",
  [OrderStatus.CANCELLED]: "CANCELLED",
} as const;

function toCopy(order: Order): OrderCopy {
  const status = (words as Record<number, OrderCopy["status"]>)[order.status];
  if (!order.price || !order.expiresAt || !status)
    throw new Error(`order ${order.id} is incomplete`);
  const { amount, currency } = toMinor(order.price, "price");
  return {
    userId: order.userId,
    sellerId: order.sellerId,
    ticketId: order.ticketId,
    title: order.title,
    price: amount,
    currency,
    expiresAt: timestampDate(order.expiresAt),
    status,
    expired: order.cancelReason === CancelReason.EXPIRED,
    attemptId: order.attemptId,
    version: Number(order.version),
  };
}

/**
 * Every event of an order only brings our copy up to date: what follows from it (capture, void) is
 * the settler's, which looks at the state and not at the event.
 */
export function paymentEvents({ payments }: { payments: Payments }): EventHandler[] {
  async function keep({ order }: { order?: Order | undefined }): Promise<void> {
    if (!order) throw new Error("an event without its order");
    const copy = toCopy(order);
    if (await update(payments, order.id, (found) => keepOrder(found, copy))) return;
    const payment = new payments({ _id: order.id, order: copy, attempts: [] });
    keepOrder(payment, copy);
    try {
      await payment.save();
    } catch (error) {
      if (!duplicateOf(error)) throw error;
      await update(payments, order.id, (found) => keepOrder(found, copy));
    }
  }
  return [
    on(OrderCreatedSchema, keep),
    on(OrderAwaitingPaymentSchema, keep),
    on(OrderCancelledSchema, keep),
    on(OrderExpiredSchema, keep),
    on(OrderCompletedSchema, keep),
  ];
}
