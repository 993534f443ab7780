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
import { banEvents } from "#marketplace/catalogue.ts";
import { update } from "#runtime/store/aggregate.ts";
import type { Ban } from "#runtime/identity/bans.ts";
import type { ReplicaSource } from "#runtime/messaging/snapshots/replica.ts";
import { on, type EventHandler } from "#runtime/messaging/consumer.ts";
import type { SnapshotPublisher } from "#runtime/messaging/snapshots/publisher.ts";
import { applyBan, type BanReplica } from "#marketplace/ban-replica.ts";
import { sealCode } from "./code.ts";
import { withholdListings } from "./seller.ts";
import {
  keepHold,
  toProto,
  type Hold,
  type Ticket,
  type TicketFields,
  type Tickets,
} from "./ticket.ts";

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

/** The ticket mirrors what has become of its order; the order of a ticket that is not here is nobody's. */
const mirror = (tickets: Tickets, order: Order): Promise<unknown> =>
  update(tickets, order.ticketId, (ticket) => keepHold(ticket, toHold(order)));

/** Whatever happened to an order, its ticket mirrors it. */
export function ticketEvents({ tickets, banReplica }: Deps): EventHandler[] {
  async function hear({ order }: { order?: Order | undefined }): Promise<void> {
    if (!order) throw new Error("an event without its order");
    await mirror(tickets, order);
  }
  return [
    on(OrderCreatedSchema, hear),
    on(OrderExtendedSchema, hear),
    on(OrderAwaitingPaymentSchema, hear),
    on(OrderCancelledSchema, hear),
    on(OrderExpiredSchema, hear),
    on(OrderCompletedSchema, hear),
    on(RefundRequestedSchema, async ({ payment, ticketId }) => {
      if (!payment) throw new Error("an event without its payment");
      const seal = (ticket: Ticket): boolean => sealCode(ticket, payment.orderId);
      // Payments waits for an answer, so a ticket that was lost must not be passed over in silence.
      if (!(await update(tickets, ticketId, seal))) throw new Error(`no ticket ${ticketId}`);
    }),
    ...banEvents.map(({ type, read }) => ({
      type,
      decode: read,
      handle: (ban: unknown) =>
        applyBan(banReplica, ban as Ban, (id, out) => withholdListings(tickets, id, out)),
    })),
  ];
}

/** All orders, for a database whose tickets may be older than their holds. */
export const holdCopies = ({
  tickets,
}: Deps): ReplicaSource<typeof OrderSnapshotSchema, Order> => ({
  owner: "orders",
  request: OrderSnapshotRequestedSchema,
  snapshot: OrderSnapshotSchema,
  itemsOf: (snapshot) => snapshot.orders,
  applyIfNewer: (order) => mirror(tickets, order),
});

/** What tickets tells those who have lost it. */
export const ticketOffer = ({
  tickets,
}: Deps): SnapshotPublisher<TicketFields, typeof TicketSnapshotSchema> => ({
  edition: 3, // Since 2 `detailsVersion` is told, since 3 the time zone.
  request: TicketSnapshotRequestedSchema,
  snapshot: TicketSnapshotSchema,
  model: tickets,
  toPage: (page) => ({ tickets: page.map(toProto) }),
});
