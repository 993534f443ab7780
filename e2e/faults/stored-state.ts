import { mongo } from "mongoose";
import { manage } from "#stack/parts";
import type { System } from "#stack/launcher";
import { fetchStripeRecords } from "../testing/stripe-records.ts";

export interface Ticket {
  _id: string;
  userId: string;
  title: string;
  price: number;
  currency: string;
  status: "ON_SALE" | "HELD" | "SOLD" | "WITHDRAWN";
  category?: string;
  withdrawn: boolean;
  version: number;
  priceVersion: number;
  orderId?: string;
  holdNumber: number;
  holdVersion: number;
}

interface TicketReplica {
  _id: string;
  sellerId: string;
  title: string;
  price: number;
  currency: string;
  withdrawn: boolean;
  sold: boolean;
  version: number;
  priceVersion: number;
}

export interface Order {
  _id: string;
  ticketId: string;
  userId: string;
  price: number;
  status: "CREATED" | "AWAITING_PAYMENT" | "COMPLETED" | "CANCELLED";
  attemptId?: string;
  holdNumber: number;
  version: number;
}

export interface Payment {
  _id: string;
  postings: { lines: { account: string; amount: number }[] }[];
  order: Pick<Order, "ticketId" | "userId" | "price" | "status" | "version" | "attemptId">;
  attempts: { _id: string; status: string }[];
}

export interface Intent {
  id: string;
  status: string;
  amount_received: number;
  metadata: { order_id: string; attempt_id: string };
}

/** What all services, the broker and the local Stripe have stored. */
export interface StoredState {
  tickets: Ticket[];
  ticketReplicas: TicketReplica[];
  orders: Order[];
  payments: Payment[];
  intents: Intent[];
  /** The ids of the payment intents that were refunded. */
  refunded: Set<string>;
  queues: { name: string; messages: number }[];
  /** The number of documents with unpublished events, by collection. */
  outboxes: Record<string, number>;
}

interface StripeRecords {
  payment_intents: Intent[];
  refunds: { payment_intent: string }[];
}

export async function readStoredState({ parts, stripe }: System): Promise<StoredState> {
  if (!parts.mongo || !parts.rabbit)
    throw new Error("the state can be read only of a system with parts of its own");
  await using client = await new mongo.MongoClient(parts.mongo.adminUrl).connect();
  const all = async <T>(database: string, name: string): Promise<T[]> =>
    client.db(database).collection(name).find({}).project({ outbox: 0 }).toArray() as Promise<T[]>;
  const unpublished = async (database: string, name: string): Promise<[string, number]> => [
    `${database}.${name}`,
    await client
      .db(database)
      .collection(name)
      .countDocuments({ "outbox._id": { $exists: true } }),
  ];
  const records = await fetchStripeRecords<StripeRecords>(stripe.url);
  const columns = "queues?columns=name,messages";
  return {
    tickets: await all("tickets", "tickets"),
    ticketReplicas: await all("orders", "tickets"),
    orders: await all("orders", "orders"),
    payments: await all("payments", "payments"),
    intents: records.payment_intents,
    refunded: new Set(records.refunds.map(({ payment_intent: id }) => id)),
    queues: (await manage(parts.rabbit.management, "GET", columns)) as StoredState["queues"],
    outboxes: Object.fromEntries(
      await Promise.all([
        unpublished("auth", "users"),
        unpublished("tickets", "tickets"),
        unpublished("orders", "orders"),
        unpublished("payments", "payments"),
      ]),
    ),
  };
}
