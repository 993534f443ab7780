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
import {
  TicketCodeOpenedSchema,
  TicketCodeSealedSchema,
} from "@ticketing/proto/tickets/v1/ticket_events";
import { ClaimsRequestedSchema, UserDeletedSchema } from "@ticketing/proto/auth/v1/user_events";
import { ClaimsAnsweredSchema } from "@ticketing/proto/payments/v1/payment_events";
import { banEvents } from "#marketplace/catalogue.ts";
import { touch, update } from "#runtime/store/aggregate.ts";
import { insertMissing, newAggregate } from "#runtime/store/plain-aggregate.ts";
import { batched } from "#runtime/messaging/batched.ts";
import type { ReplicaSource } from "#runtime/messaging/snapshots/replica.ts";
import { on, required, type EventHandler } from "#runtime/messaging/event-handler.ts";
import type { Log } from "#runtime/log.ts";
import type { Service } from "#runtime/service.ts";
import { toMinor } from "#runtime/values/money.ts";
import { banHandlers, type BanReplica } from "#marketplace/ban-replica.ts";
import { claimsOf, type ClaimDeps } from "./payouts/claims.ts";
import { needsReview, applyIfNewer, applySnapshotIfNewer } from "./settlement/order-replica.ts";
import type { OrderReplica, Payment, PaymentFields, Payments } from "./payment.ts";
import { applyCodeRevealed, applyCodeLocked } from "./refunds/refund.ts";

const words = {
  [OrderStatus.CREATED]: "CREATED",
  [OrderStatus.AWAITING_PAYMENT]: "AWAITING_PAYMENT",
  [OrderStatus.COMPLETED]: "COMPLETED",
  [OrderStatus.CANCELLED]: "CANCELLED",
} as const;

function toCopy(order: Order): OrderReplica {
  const status = (words as Record<number, OrderReplica["status"]>)[order.status];
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
    ...(order.eventTime && { eventTime: timestampDate(order.eventTime) }),
    ...(order.timeZone && { timeZone: order.timeZone }),
    ...(order.venue !== undefined && { venue: order.venue }),
    status,
    expired: order.cancelReason === CancelReason.EXPIRED,
    attemptId: order.attemptId,
    version: Number(order.version),
  };
}

/** The payment of a new order, without any attempt yet. */
function newPayment(payments: Payments, id: string, order: OrderReplica): PaymentFields {
  const payment = { ...newAggregate(payments, { order }), _id: id };
  touch(payment);
  return payment;
}

/** Applies an order to our replica of it, and returns the payment after the change. */
async function keep(
  payments: Payments,
  id: string,
  copy: OrderReplica,
  change: (payment: Payment, copy: OrderReplica) => boolean,
): Promise<PaymentFields> {
  const found = await update(payments, id, (payment) => change(payment, copy));
  if (found) return found;
  const payment = newPayment(payments, id, copy);
  const [existing] = await insertMissing(payments, [payment]);
  return existing ? keep(payments, id, copy, change) : payment;
}

/**
 * Returns the function that stores the payment of a new order. Orders that arrive together are stored in
 * one write. A payment that exists already is from a later event of its order, or from this one.
 */
function newOrderStore(payments: Payments): (id: string, copy: OrderReplica) => Promise<void> {
  const store = batched<PaymentFields>(async (created) => {
    const existing = await insertMissing(payments, created);
    await Promise.all(existing.map(({ _id, order }) => keep(payments, _id, order, applyIfNewer)));
  });
  return (id, copy) => store(newPayment(payments, id, copy));
}

interface EventDeps {
  payments: Payments;
  banReplica: BanReplica;
}

/**
 * Each event only updates our replica of an order, or of its ticket's code. What follows from it (a
 * capture, void or refund) is the settlement worker's task, which acts on the state, not on the event.
 */
export function paymentEvents({ payments, banReplica }: EventDeps): EventHandler[] {
  const storeNew = newOrderStore(payments);
  async function handleNewOrder({ order }: { order?: Order | undefined }): Promise<void> {
    const created = required(order, "order");
    await storeNew(created.id, toCopy(created));
  }
  async function handleOrder({ order }: { order?: Order | undefined }): Promise<void> {
    const changed = required(order, "order");
    await keep(payments, changed.id, toCopy(changed), applyIfNewer);
  }
  /** An event of a ticket's code changes the payment of the order that it names, and no other. */
  const code = (
    { orderId, ticketId }: { orderId: string; ticketId: string },
    change: (payment: Payment) => boolean,
  ) =>
    update(payments, orderId, (payment) => payment.order.ticketId === ticketId && change(payment));
  // Banned sellers are not paid out. Sellers whose account is deleted still get what they earned.
  const bans = banEvents.filter(({ type }) => type !== UserDeletedSchema.typeName);
  return [
    ...banHandlers(banReplica, () => Promise.resolve(), bans),
    on(OrderCreatedSchema, handleNewOrder),
    on(OrderAwaitingPaymentSchema, handleOrder),
    on(OrderCancelledSchema, handleOrder),
    on(OrderExpiredSchema, handleOrder),
    on(OrderCompletedSchema, handleOrder),
    on(OrderExtendedSchema, handleOrder),
    on(TicketCodeSealedSchema, (event) => code(event, applyCodeLocked)),
    on(TicketCodeOpenedSchema, (event) => {
      const time = timestampDate(required(event.openTime, "time"));
      return code(event, (payment) => applyCodeRevealed(payment, time));
    }),
  ];
}

/** Answers auth, which asks what is due to a user who wants to delete their account. */
export const claimEvents = (deps: ClaimDeps & Pick<Service, "publish">): EventHandler[] => [
  on(ClaimsRequestedSchema, async ({ requestId, userId }) => {
    const claims = await claimsOf(deps, userId);
    await deps.publish(ClaimsAnsweredSchema, userId, { requestId, userId, claims });
  }),
];

interface CopyDeps {
  payments: Payments;
  log: Log;
}

/** The replica of all orders, for a database that has never had them. It never leads to a capture. */
export function orderReplica({
  payments,
  log,
}: CopyDeps): ReplicaSource<typeof OrderSnapshotSchema, Order> {
  return {
    owner: "orders",
    request: OrderSnapshotRequestedSchema,
    snapshot: OrderSnapshotSchema,
    itemsOf: (snapshot) => snapshot.orders,
    async applyIfNewer(order) {
      const copy = toCopy(order);
      const payment = await keep(payments, order.id, copy, applySnapshotIfNewer);
      if (!needsReview(payment, copy)) return;
      const about = { alarm: true, orderId: order.id, attemptId: order.attemptId };
      log.error(
        about,
        "an order refers to a payment attempt that is unknown here; check it in the Stripe Dashboard",
      );
    },
  };
}
