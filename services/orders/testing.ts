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
import type { HoldDeps } from "./hold.ts";
import { orderModel } from "./order.ts";
import { orderRoutes } from "./rpc.ts";
import { ticketModel } from "./ticket.ts";

const published = createRegistry(orderEventsFile);

/** An event of an order, as its outbox holds it. */
export interface Told {
  type: string;
  order: Order | undefined;
}

const wordOf = (words: object, value: number): string =>
  Object.entries(words).find(([, number]) => number === value)?.[0] ?? `${value}`;

/** The word of a status, and of the reason where there is one: "CANCELLED EXPIRED". */
export function wordsOf({ status, cancelReason }: Order): string {
  const word = wordOf(OrderStatus, status);
  if (cancelReason === CancelReason.UNSPECIFIED) return word;
  return `${word} ${wordOf(CancelReason, cancelReason)}`;
}

/** A ticket as tickets would tell of it: for sale at 20 EUR, but for what is said. */
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

/** What an event of a payment carries: all of it given back, where it tells of that, but for what is said. */
export const paymentMessage = (
  orderId: string,
  attemptId: string,
  status: PaymentStatus = PaymentStatus.REFUNDED,
) => ({
  payment: { orderId, attemptId, status, version: 1n },
});

/** Orders on a real database behind the interceptors of a server. The time is real, until `pass`. */
export async function testOrders(
  limits: Partial<HoldDeps & { extensionSeconds: number; log: Log }> = {},
) {
  const db = await testDatabase();
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

  /** Hears an event, as it would from its queue. */
  async function hear<D extends DescMessage>(schema: D, event: MessageInitShape<D>): Promise<void> {
    const handler = handlers.get(schema.typeName);
    if (!handler) throw new Error(`orders does not hear ${schema.typeName}`);
    await handler.handle(create(schema, event));
  }

  return {
    deps,
    client,
    hear,
    /** Hears that a user is out, or in again, as of a version of theirs. */
    async standing(userId: string, version: number, banned: boolean): Promise<void> {
      const schema = banned ? UserBannedSchema : UserUnbannedSchema;
      await handlers.get(schema.typeName)?.handle({ userId, version, banned });
    },
    /** Lets so many seconds pass by the clock of this service. */
    pass(seconds: number): void {
      passed += seconds * 1000;
    },
    /** A ticket that this service has heard of. */
    async ticket(change?: MessageInitShape<typeof TicketSchema>): Promise<string> {
      const ticket = ticketMessage(change);
      await hear(TicketCreatedSchema, { ticket });
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
    /** What an order has recorded to be published, the oldest first. */
    async told(id: string): Promise<Told[]> {
      const { outbox } = await deps.orders.findById(id).orFail();
      return outbox.map(({ type, payload }) => {
        const schema = published.getMessage(type);
        if (!schema) throw new Error(`orders publishes ${type}`);
        const { order } = fromBinary(schema, new Uint8Array(payload)) as unknown as Told;
        return { type: type.replace(/.*\./, ""), order };
      });
    },
  };
}
