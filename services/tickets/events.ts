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
import { keepHold, type Hold, type Tickets } from "./ticket.ts";

function stateOf(order: Order): Hold["state"] {
  if (order.status === OrderStatus.COMPLETED) return "SOLD";
  if (order.status !== OrderStatus.CANCELLED) return "HELD";
  return order.cancelReason === CancelReason.REFUNDED ? "REFUNDED" : "FREE";
}

function toHold(order: Order): Hold {
  if (!order.expiresAt) throw new Error(`order ${order.id} without its end`);
  return {
    orderId: order.id,
    buyerId: order.userId,
    holdNumber: Number(order.holdNumber),
    version: Number(order.version),
    expiresAt: timestampDate(order.expiresAt),
    state: stateOf(order),
  };
}

/** Whatever happened to an order, its ticket mirrors it. */
export function ticketEvents({ tickets }: { tickets: Tickets }): EventHandler[] {
  async function mirror({ order }: { order?: Order | undefined }): Promise<void> {
    if (!order) throw new Error("an event without its order");
    await update(tickets, order.ticketId, (ticket) => keepHold(ticket, toHold(order)));
  }
  return [
    on(OrderCreatedSchema, mirror),
    on(OrderAwaitingPaymentSchema, mirror),
    on(OrderCancelledSchema, mirror),
    on(OrderExpiredSchema, mirror),
    on(OrderCompletedSchema, mirror),
  ];
}
