import {
  create,
  createRegistry,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  CancelReason,
  OrderSchema,
  OrderStatus,
  type Order,
} from "@ticketing/proto/orders/v1/order";
import {
  OrderAwaitingPaymentSchema,
  OrderCancelledSchema,
  OrderCompletedSchema,
  OrderCreatedSchema,
  OrderExpiredSchema,
} from "@ticketing/proto/orders/v1/order_events";
import {
  UserBannedSchema,
  UserDeletedSchema,
  UserUnbannedSchema,
} from "@ticketing/proto/auth/v1/user_events";
import { file_ticketing_tickets_v1_ticket_events as ticketEventsFile } from "@ticketing/proto/tickets/v1/ticket_events";
import type { Ticket } from "@ticketing/proto/tickets/v1/ticket";
import {
  CreateTicketRequestSchema,
  TicketService,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { newId } from "#runtime/store/ids.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import type { Log } from "#runtime/log.ts";
import { banReplicaModel } from "#marketplace/ban-replica.ts";
import { as } from "#runtime/testing/tokens.ts";
import { silentLog } from "#runtime/testing/log.ts";
import { testClient } from "#runtime/testing/client.ts";
import { testDatabase } from "#runtime/testing/database.ts";
import { ticketEvents } from "./events.ts";
import { publicReads } from "./public-reads.ts";
import { ticketRoutes } from "./rpc.ts";
import { ticketModel } from "./ticket.ts";

const published = createRegistry(ticketEventsFile);

/** An event of an order: its type, and the order after it. */
export interface OrderEvent {
  schema: DescMessage;
  order: Order;
}

export type Step = "created" | "awaiting" | "completed" | "cancelled" | "expired" | "refunded";

const steps: Record<Step, { schema: DescMessage; status: OrderStatus; reason?: CancelReason }> = {
  created: { schema: OrderCreatedSchema, status: OrderStatus.CREATED },
  awaiting: { schema: OrderAwaitingPaymentSchema, status: OrderStatus.AWAITING_PAYMENT },
  completed: { schema: OrderCompletedSchema, status: OrderStatus.COMPLETED },
  cancelled: {
    schema: OrderCancelledSchema,
    status: OrderStatus.CANCELLED,
    reason: CancelReason.BUYER,
  },
  expired: {
    schema: OrderExpiredSchema,
    status: OrderStatus.CANCELLED,
    reason: CancelReason.EXPIRED,
  },
  refunded: {
    schema: OrderCancelledSchema,
    status: OrderStatus.CANCELLED,
    reason: CancelReason.REFUNDED,
  },
};

/** The events of an order that goes through these steps, one version per step. */
export function orderHistory(
  ticketId: string,
  holdNumber: number,
  words: readonly Step[],
  buyerId: string = newId(),
): OrderEvent[] {
  const id = newId();
  const expiresAt = timestampFromDate(new Date(Date.now() + 900_000));
  return words.map((word, i) => {
    const { schema, status, reason = CancelReason.UNSPECIFIED } = steps[word];
    const order = create(OrderSchema, {
      id,
      ticketId,
      userId: buyerId,
      sellerId: "seller",
      title: "A concert",
      status,
      cancelReason: reason,
      expiresAt,
      version: BigInt(i + 1),
      holdNumber: BigInt(holdNumber),
    });
    return { schema, order };
  });
}

/** Tickets on a real database behind the interceptors of a server. */
export async function testTickets({ log = silentLog }: { log?: Log } = {}) {
  const db = await testDatabase("tickets");
  const tickets = ticketModel(db);
  const deps = {
    tickets,
    banReplica: banReplicaModel(db),
    now: Date.now,
    publicReads: publicReads(tickets),
  };
  await buildIndexes(deps.tickets);
  const client = testClient(TicketService, ticketRoutes(deps), log);
  const handlers = new Map(ticketEvents(deps).map((handler) => [handler.type, handler]));

  return {
    db,
    deps,
    client,
    /** Handles a ban or an unban of a user, at a version of the user. */
    async setBanned(userId: string, version: number, banned: boolean): Promise<void> {
      const schema = banned ? UserBannedSchema : UserUnbannedSchema;
      await handlers.get(schema.typeName)?.handle({ userId, version, banned });
    },
    /** Handles the deletion of a user. */
    async deleteUser(userId: string, version: number): Promise<void> {
      const handler = handlers.get(UserDeletedSchema.typeName)!;
      const event = create(UserDeletedSchema, { userId, version: BigInt(version) });
      await handler.handle(handler.decode(toBinary(UserDeletedSchema, event)));
    },
    /** Handles an event of an order as if it came from the queue. */
    async handle({ schema, order }: OrderEvent): Promise<void> {
      await handlers.get(schema.typeName)?.handle(create(schema, { order } as never));
    },
    /** Lists a ticket: a concert for 20 EUR, with these changes. */
    async list(
      change: MessageInitShape<typeof CreateTicketRequestSchema> = {},
      userId = "seller",
    ): Promise<Ticket> {
      const usual = { title: "A concert", price: { currencyCode: "EUR", units: 20n } };
      const request = create(CreateTicketRequestSchema, { ...usual, ...(change as object) });
      const { ticket } = await client.createTicket(request, await as(userId));
      if (!ticket) throw new Error("no ticket");
      return ticket;
    },
    async get(id: string): Promise<Ticket> {
      const { ticket } = await client.getTicket({ id });
      if (!ticket) throw new Error("no ticket");
      return ticket;
    },
    /** The events in a ticket's outbox, the oldest first. */
    async recorded(id: string): Promise<{ type: string; ticket: Ticket | undefined }[]> {
      const { outbox } = await deps.tickets.findById(id).orFail();
      return outbox.map(({ type, payload }) => {
        const schema = published.getMessage(type);
        if (!schema) throw new Error(`tickets publishes ${type}`);
        const { ticket } = fromBinary(schema, new Uint8Array(payload)) as unknown as {
          ticket?: Ticket;
        };
        return { type: type.replace(/.*\./, ""), ticket };
      });
    },
  };
}
