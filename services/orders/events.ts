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
import { banEvents } from "#marketplace/catalogue.ts";
import { update } from "#runtime/store/aggregate.ts";
import type { Ban } from "#runtime/identity/bans.ts";
import type { ReplicaSource } from "#runtime/messaging/snapshots/replica.ts";
import { on, type EventHandler } from "#runtime/messaging/consumer.ts";
import type { Log } from "#runtime/log.ts";
import { isDatabaseFault } from "#runtime/store/database.ts";
import type { SnapshotPublisher } from "#runtime/messaging/snapshots/publisher.ts";
import { applyBan, type BanReplica } from "#marketplace/ban-replica.ts";
import {
  accept,
  complete,
  expire,
  extend,
  failPayment,
  refund,
  toProto,
  type Order,
  type OrderFields,
  type Orders,
} from "./order.ts";
import { keep, type Tickets } from "./ticket.ts";
import { cancelOrdersOf } from "./user.ts";

interface Deps {
  orders: Orders;
  tickets: Tickets;
  banReplica: BanReplica;
  /** By how much a hold is made longer while the buyer is at their bank's page; 0 for not at all. */
  extensionSeconds: number;
  now: () => number;
}

/** What orders does about the events of others. An event whose time has passed changes nothing. */
export function orderEvents(deps: Deps): EventHandler[] {
  const { orders, tickets, banReplica, extensionSeconds, now } = deps;
  const paid =
    (change: (order: Order, attemptId: string, payment: Payment) => boolean) =>
    async ({ payment }: { payment?: Payment | undefined }): Promise<void> => {
      if (!payment) throw new Error("an event without its payment");
      await update(orders, payment.orderId, (order) => change(order, payment.attemptId, payment));
    };
  /** A part that was given back leaves the ticket with its buyer. */
  const isAllBack = ({ status }: Payment): boolean => status === PaymentStatus.REFUNDED;
  return [
    on(TicketCreatedSchema, ({ ticket }) => keep(tickets, ticket)),
    on(TicketUpdatedSchema, ({ ticket }) => keep(tickets, ticket)),
    on(ExpirationCompleteSchema, ({ orderId }) =>
      update(orders, orderId, (order) => expire(order, now())),
    ),
    on(
      PaymentActionRequiredSchema,
      paid((order) => extend(order, extensionSeconds, now())),
    ),
    on(
      PaymentAuthorizedSchema,
      paid((order, attemptId) => accept(order, attemptId, now())),
    ),
    on(ChargeCreatedSchema, paid(complete)),
    on(ChargeFailedSchema, paid(failPayment)),
    on(
      ChargeRefundedSchema,
      paid((order, attemptId, payment) => isAllBack(payment) && refund(order, attemptId)),
    ),
    ...banEvents.map(({ type, read }) => ({
      type,
      decode: read,
      handle: (said: unknown) =>
        applyBan(banReplica, said as Ban, async (userId, out) => {
          if (out) await cancelOrdersOf(orders, userId);
        }),
    })),
  ];
}

/** All tickets, for a database that has never had them. */
export const ticketCopies = ({
  tickets,
}: Deps): ReplicaSource<typeof TicketSnapshotSchema, TicketMessage> => ({
  owner: "tickets",
  edition: 3, // Since 2 venue, category and `detailsVersion` are kept, since 3 the time zone.
  request: TicketSnapshotRequestedSchema,
  snapshot: TicketSnapshotSchema,
  itemsOf: (snapshot) => snapshot.tickets,
  applyIfNewer: (ticket) => keep(tickets, ticket),
});

/** What orders tells those who have lost it. */
export const orderOffer = ({
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

/** So many holds are ended at once; what waits is in the database, and not here. */
const WIDTH = 16;

/**
 * Ends the holds whose time is up, all of them, whatever became of their timers: a broker that lost
 * everything cannot keep a ticket locked. One that cannot be ended holds up no other; the next sweep
 * finds it again.
 */
export async function expireOverdue({ orders, now, log }: SweepDeps): Promise<void> {
  const isDue = { status: "CREATED" as const, expiresAt: { $lte: new Date(now()) } };
  const overdue = orders.find(isDue, { _id: 1 }).sort({ expiresAt: 1 }).lean().cursor();
  async function end({ _id: id }: Pick<OrderFields, "_id">): Promise<void> {
    try {
      await update(orders, id, (order) => expire(order, now()));
    } catch (err) {
      if (isDatabaseFault(err)) throw err;
      log.warn(
        { err: (err as Error).message, id },
        "an overdue hold has not ended; it is tried again",
      );
    }
  }
  await overdue.eachAsync(end, { parallel: WIDTH });
}
