import { ExpirationCompleteSchema } from "@ticketing/proto/expiration/v1/expiration_events";
import {
  OrderSnapshotRequestedSchema,
  OrderSnapshotSchema,
} from "@ticketing/proto/orders/v1/order_events";
import { PaymentStatus, type Payment } from "@ticketing/proto/payments/v1/payment";
import {
  ChargeCreatedSchema,
  ChargeFailedSchema,
  ChargeRefundedSchema,
  PaymentActionRequiredSchema,
  PaymentAuthorizedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import type { Ticket as TicketMessage } from "@ticketing/proto/tickets/v1/ticket";
import {
  TicketCreatedSchema,
  TicketSnapshotRequestedSchema,
  TicketSnapshotSchema,
  TicketUpdatedSchema,
} from "@ticketing/proto/tickets/v1/ticket_events";
import { updateAggregate } from "#runtime/store/plain-aggregate.ts";
import type { ReplicaSource } from "#runtime/messaging/snapshots/replica.ts";
import { on, required, type EventHandler } from "#runtime/messaging/event-handler.ts";
import type { Log } from "#runtime/log.ts";
import { isDatabaseFault } from "#runtime/store/database.ts";
import type { SnapshotPublisher } from "#runtime/messaging/snapshots/publisher.ts";
import { banHandlers, type BanReplica } from "#marketplace/ban-replica.ts";
import {
  acceptPayment,
  cancelBanned,
  complete,
  expire,
  extend,
  failPayment,
  refund,
  toProto,
  type OrderFields,
  type Orders,
} from "./order.ts";
import { ticketStore, type Tickets } from "./ticket-replica.ts";

interface Deps {
  orders: Orders;
  tickets: Tickets;
  banReplica: BanReplica;
  /** How long a hold is extended while the buyer is at their bank's page, in seconds; 0 for never. */
  extensionSeconds: number;
  now: () => number;
}

/** How many orders of a banned user are cancelled at once; some sellers have thousands. */
const BAN_CONCURRENCY = 20;

/** Cancels a banned user's open orders, and those of others for their tickets. */
async function cancelOrdersOf(orders: Orders, userId: string): Promise<void> {
  const open = { status: "CREATED" as const, $or: [{ userId }, { sellerId: userId }] };
  for (;;) {
    const page = await orders.find(open, { _id: 1 }).limit(BAN_CONCURRENCY).lean();
    if (page.length === 0) return;
    await Promise.all(page.map(({ _id }) => updateAggregate(orders, _id, cancelBanned)));
  }
}

/** How orders handles the events of other services. A stale event changes nothing. */
export function orderEvents(deps: Deps): EventHandler[] {
  const { orders, tickets, banReplica, extensionSeconds, now } = deps;
  const storeTicket = ticketStore(tickets);
  const onPayment =
    (
      change: (order: OrderFields, attemptId: string) => boolean,
      isRelevant = (_: Payment) => true,
    ) =>
    async ({ payment }: { payment?: Payment | undefined }): Promise<void> => {
      const paid = required(payment, "payment");
      if (!isRelevant(paid)) return;
      await updateAggregate(orders, paid.orderId, (order) => change(order, paid.attemptId));
    };
  /** After a partial refund the ticket stays with its buyer. */
  const isFullyRefunded = ({ status }: Payment): boolean => status === PaymentStatus.REFUNDED;
  return [
    on(TicketCreatedSchema, ({ ticket }) => storeTicket(ticket)),
    on(TicketUpdatedSchema, ({ ticket }) => storeTicket(ticket)),
    on(ExpirationCompleteSchema, ({ orderId }) =>
      updateAggregate(orders, orderId, (order) => expire(order, now())),
    ),
    on(
      PaymentActionRequiredSchema,
      onPayment((order) => extend(order, extensionSeconds, now())),
    ),
    on(
      PaymentAuthorizedSchema,
      onPayment((order, attemptId) => acceptPayment(order, attemptId, now())),
    ),
    on(ChargeCreatedSchema, onPayment(complete)),
    on(ChargeFailedSchema, onPayment(failPayment)),
    on(ChargeRefundedSchema, onPayment(refund, isFullyRefunded)),
    ...banHandlers(banReplica, async (userId, banned) => {
      if (banned) await cancelOrdersOf(orders, userId);
    }),
  ];
}

/** The replica of all tickets, for a database that has none yet. */
export const ticketReplica = ({
  tickets,
}: Deps): ReplicaSource<typeof TicketSnapshotSchema, TicketMessage> => ({
  owner: "tickets",
  edition: 3, // 2 added venue, category and `detailsVersion`; 3 added the time zone.
  request: TicketSnapshotRequestedSchema,
  snapshot: TicketSnapshotSchema,
  itemsOf: (snapshot) => snapshot.tickets,
  applyIfNewer: ticketStore(tickets),
});

/** The snapshots of orders for services that replicate them. */
export const orderSnapshots = ({
  orders,
}: Deps): SnapshotPublisher<OrderFields, typeof OrderSnapshotSchema> => ({
  request: OrderSnapshotRequestedSchema,
  snapshot: OrderSnapshotSchema,
  model: orders,
  toPage: (page) => ({ orders: page.map(toProto) }),
});

interface SweepDeps {
  orders: Orders;
  now: () => number;
  log: Log;
}

/** How many holds are expired at once; the others wait in the database. */
const SWEEP_CONCURRENCY = 16;

/**
 * Expires all holds that have run out, with or without their timer events: a broker that has lost
 * everything cannot keep a ticket locked. A hold that cannot be expired does not stop the others; the
 * next sweep tries it again.
 */
export async function expireOverdue({ orders, now, log }: SweepDeps): Promise<void> {
  const isDue = { status: "CREATED" as const, expiresAt: { $lte: new Date(now()) } };
  const overdue = orders.find(isDue, { _id: 1 }).sort({ expiresAt: 1 }).lean().cursor();
  async function expireOne({ _id: id }: Pick<OrderFields, "_id">): Promise<void> {
    try {
      await updateAggregate(orders, id, (order) => expire(order, now()));
    } catch (err) {
      if (isDatabaseFault(err)) throw err;
      log.warn(
        { err: (err as Error).message, id },
        "an overdue hold could not be expired; the next sweep tries again",
      );
    }
  }
  await overdue.eachAsync(expireOne, { parallel: SWEEP_CONCURRENCY });
}
