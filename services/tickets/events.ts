import { timestampDate } from "@bufbuild/protobuf/wkt";
import { CancelReason, OrderStatus, type Order } from "@ticketing/proto/orders/v1/order";
import {
  OrderAwaitingPaymentSchema,
  OrderCancelledSchema,
  OrderCompletedSchema,
  OrderCreatedSchema,
  OrderExpiredSchema,
  OrderExtendedSchema,
  OrderSnapshotRequestedSchema,
  OrderSnapshotSchema,
} from "@ticketing/proto/orders/v1/order_events";
import { RefundRequestedSchema } from "@ticketing/proto/payments/v1/payment_events";
import {
  TicketSnapshotRequestedSchema,
  TicketSnapshotSchema,
} from "@ticketing/proto/tickets/v1/ticket_events";
import { updateAggregate } from "#runtime/store/plain-aggregate.ts";
import type { ReplicaSource } from "#runtime/messaging/snapshots/replica.ts";
import { on, required, type EventHandler } from "#runtime/messaging/event-handler.ts";
import type { SnapshotPublisher } from "#runtime/messaging/snapshots/publisher.ts";
import { banHandlers, type BanReplica } from "#marketplace/ban-replica.ts";
import { lockCode } from "./codes/code.ts";
import { setListingsBanned } from "./listings/banned-seller.ts";
import { applyHold, type Hold } from "./hold.ts";
import { toProto, type Ticket, type TicketFields, type Tickets } from "./ticket.ts";

interface Deps {
  tickets: Tickets;
  banReplica: BanReplica;
}

function stateOf(order: Order): Hold["state"] {
  if (order.status === OrderStatus.COMPLETED) return "SOLD";
  if (order.status !== OrderStatus.CANCELLED) return "HELD";
  return order.cancelReason === CancelReason.REFUNDED ? "REFUNDED" : "FREE";
}

function toHold(order: Order): Hold {
  return {
    orderId: order.id,
    buyerId: order.userId,
    holdNumber: Number(order.holdNumber),
    version: Number(order.version),
    expiresAt: timestampDate(required(order.expiresAt, "expiry")),
    state: stateOf(order),
  };
}

/** Applies an order to its ticket. An order for an unknown ticket is ignored. */
const applyOrder = (tickets: Tickets, order: Order): Promise<unknown> =>
  updateAggregate(tickets, order.ticketId, (ticket) => applyHold(ticket, toHold(order)));

/** How tickets handles the events of other services. */
export function ticketEvents({ tickets, banReplica }: Deps): EventHandler[] {
  async function handleOrder({ order }: { order?: Order | undefined }): Promise<void> {
    await applyOrder(tickets, required(order, "order"));
  }
  return [
    on(OrderCreatedSchema, handleOrder),
    on(OrderExtendedSchema, handleOrder),
    on(OrderAwaitingPaymentSchema, handleOrder),
    on(OrderCancelledSchema, handleOrder),
    on(OrderExpiredSchema, handleOrder),
    on(OrderCompletedSchema, handleOrder),
    on(RefundRequestedSchema, async ({ payment, ticketId }) => {
      const { orderId } = required(payment, "payment");
      const lock = (ticket: Ticket): boolean => lockCode(ticket, orderId);
      // Payments waits for an answer, so a missing ticket is an error.
      if (!(await updateAggregate(tickets, ticketId, lock)))
        throw new Error(`no ticket ${ticketId}`);
    }),
    ...banHandlers(banReplica, (userId, banned) => setListingsBanned(tickets, userId, banned)),
  ];
}

/** The holds of all orders, for a restored database whose tickets may be out of date. */
export const holdReplica = ({
  tickets,
}: Deps): ReplicaSource<typeof OrderSnapshotSchema, Order> => ({
  owner: "orders",
  request: OrderSnapshotRequestedSchema,
  snapshot: OrderSnapshotSchema,
  itemsOf: (snapshot) => snapshot.orders,
  applyIfNewer: (order) => applyOrder(tickets, order),
});

/** The snapshots of tickets for services that replicate them. */
export const ticketSnapshots = ({
  tickets,
}: Deps): SnapshotPublisher<TicketFields, typeof TicketSnapshotSchema> => ({
  edition: 3, // 2 added `detailsVersion`; 3 added the time zone.
  request: TicketSnapshotRequestedSchema,
  snapshot: TicketSnapshotSchema,
  model: tickets,
  toPage: (page) => ({ tickets: page.map(toProto) }),
});
