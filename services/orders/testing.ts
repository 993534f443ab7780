import {
  create,
  createRegistry,
  fromBinary,
  type DescMessage,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { file_ticketing_orders_v1_order_events as orderEventsFile } from "@ticketing/proto/orders/v1/order_events";
import { CancelReason, OrderStatus, type Order } from "@ticketing/proto/orders/v1/order";
import { OrderService } from "@ticketing/proto/orders/v1/order_service";
import { PaymentStatus } from "@ticketing/proto/payments/v1/payment";
import { TicketSchema, TicketStatus, type Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { TicketCreatedSchema } from "@ticketing/proto/tickets/v1/ticket_events";
import { UserBannedSchema, UserUnbannedSchema } from "@ticketing/proto/auth/v1/user_events";
import { newId } from "#runtime/store/ids.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import type { Log } from "#runtime/log.ts";
import { banReplicaModel } from "#marketplace/ban-replica.ts";
import { as } from "#runtime/testing/tokens.ts";
import { silentLog } from "#runtime/testing/log.ts";
import { testClient } from "#runtime/testing/client.ts";
import { testDatabase } from "#runtime/testing/database.ts";
import { orderEvents } from "./events.ts";
import type { HoldLimits } from "./hold-limits.ts";
import { orderModel } from "./order.ts";
import { orderRoutes } from "./rpc.ts";
import { ticketModel } from "./ticket-replica.ts";

const published = createRegistry(orderEventsFile);

/** An event in the outbox of an order. */
export interface RecordedEvent {
  type: string;
  order: Order | undefined;
}

const wordOf = (words: object, value: number): string =>
  Object.entries(words).find(([, number]) => number === value)?.[0] ?? `${value}`;

/** The status and the cancel reason, if any: "CANCELLED EXPIRED". */
export function statusWordsOf({ status, cancelReason }: Order): string {
  const word = wordOf(OrderStatus, status);
  if (cancelReason === CancelReason.UNSPECIFIED) return word;
  return `${word} ${wordOf(CancelReason, cancelReason)}`;
}

/** A ticket as tickets publishes it: on sale for 20 EUR, with these changes. */
export const ticketMessage = (change: MessageInitShape<typeof TicketSchema> = {}): Ticket =>
  create(TicketSchema, {
    id: newId(),
    userId: "seller",
    title: "A concert",
    price: { currencyCode: "EUR", units: 20n },
    status: TicketStatus.ON_SALE,
    version: 1n,
    priceVersion: 1n,
    ...(change as object),
  });

/** The content of a payment event; by default the whole amount is refunded. */
export const paymentMessage = (
  orderId: string,
  attemptId: string,
  status: PaymentStatus = PaymentStatus.REFUNDED,
) => ({
  payment: { orderId, attemptId, status, version: 1n },
});

/** Orders on a real database behind a server's interceptors. `pass` moves its clock. */
export async function testOrders(
  limits: Partial<HoldLimits & { extensionSeconds: number; log: Log }> = {},
) {
  const db = await testDatabase("orders");
  let passed = 0;
  const deps = {
    orders: orderModel(db),
    tickets: ticketModel(db),
    banReplica: banReplicaModel(db),
    holdSeconds: 900,
    extensionSeconds: 0,
    maxOpenOrders: 10,
    maxHoldsPerHour: 3,
    maxHoldsPerDay: 4,
    holdHalvings: 2,
    maxOpenOrdersNew: Infinity,
    maxHoldsPerNetwork: 20,
    requireConfirmedEmail: false,
    now: () => Date.now() + passed,
    log: silentLog,
    ...limits,
  };
  await buildIndexes(deps.orders, deps.tickets);
  const client = testClient(OrderService, orderRoutes(deps));
  const handlers = new Map(orderEvents(deps).map((handler) => [handler.type, handler]));

  /** Handles an event as if it came from the queue. */
  async function handle<D extends DescMessage>(
    schema: D,
    event: MessageInitShape<D>,
  ): Promise<void> {
    const handler = handlers.get(schema.typeName);
    if (!handler) throw new Error(`orders does not handle ${schema.typeName}`);
    await handler.handle(create(schema, event));
  }

  return {
    deps,
    client,
    handle,
    /** Handles a ban or an unban of a user, at a version of the user. */
    async setBanned(userId: string, version: number, banned: boolean): Promise<void> {
      const schema = banned ? UserBannedSchema : UserUnbannedSchema;
      await handlers.get(schema.typeName)?.handle({ userId, version, banned });
    },
    /** Moves this service's clock forward. */
    pass(seconds: number): void {
      passed += seconds * 1000;
    },
    /** A ticket in this service's replica. */
    async ticket(change?: MessageInitShape<typeof TicketSchema>): Promise<string> {
      const ticket = ticketMessage(change);
      await handle(TicketCreatedSchema, { ticket });
      return ticket.id;
    },
    /** Presses *Buy*. */
    async buy(ticketId: string, userId: string = newId(), more: object = {}): Promise<Order> {
      const { order } = await client.createOrder({ ticketId, ...more }, await as(userId));
      if (!order) throw new Error("no order");
      return order;
    },
    async get({ id, userId }: Order): Promise<Order> {
      const { order } = await client.getOrder({ id }, await as(userId));
      if (!order) throw new Error("no order");
      return order;
    },
    /** The events in an order's outbox, the oldest first. */
    async recorded(id: string): Promise<RecordedEvent[]> {
      const { outbox } = await deps.orders.findById(id).orFail();
      return outbox.map(({ type, payload }) => {
        const schema = published.getMessage(type);
        if (!schema) throw new Error(`orders publishes ${type}`);
        const { order } = fromBinary(schema, new Uint8Array(payload)) as unknown as RecordedEvent;
        return { type: type.replace(/.*\./, ""), order };
      });
    },
  };
}
