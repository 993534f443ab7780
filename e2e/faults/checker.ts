import { mongo } from "mongoose";
import { manage } from "#stack/parts";
import type { System } from "#stack/launcher";
import { fetchStripeRecords } from "../testing/stripe-records.ts";

// What must be true of the whole marketplace when nothing is under way any more, whatever happened
// before. Each rule looks at everything that is stored anywhere, and says what is wrong.

interface Ticket {
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

interface TicketCopy {
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

interface Order {
  _id: string;
  ticketId: string;
  userId: string;
  price: number;
  status: "CREATED" | "AWAITING_PAYMENT" | "COMPLETED" | "CANCELLED";
  attemptId?: string;
  holdNumber: number;
  version: number;
}

interface Payment {
  _id: string;
  postings: { lines: { account: string; amount: number }[] }[];
  order: Pick<Order, "ticketId" | "userId" | "price" | "status" | "version" | "attemptId">;
  attempts: { _id: string; status: string }[];
}

interface Intent {
  id: string;
  status: string;
  amount_received: number;
  metadata: { order_id: string; attempt_id: string };
}

/** Everything that is stored anywhere. */
export interface StoredState {
  tickets: Ticket[];
  ticketReplicas: TicketCopy[];
  orders: Order[];
  payments: Payment[];
  intents: Intent[];
  /** Intents that were given back. */
  refunded: Set<string>;
  queues: { name: string; messages: number }[];
  /** How many documents have events that were not published, by their collection. */
  outboxes: Record<string, number>;
}

const HOLDING: readonly Order["status"][] = ["CREATED", "AWAITING_PAYMENT", "COMPLETED"];

const byId = <T extends { _id: string }>(list: readonly T[]): Map<string, T> =>
  new Map(list.map((each) => [each._id, each]));

/** What differs between a thing and its copy, of the fields that the copy has. */
function difference(thing: object, copy: object): string | undefined {
  const of = (from: object, key: string) => String((from as Record<string, unknown>)[key] ?? "");
  const keys = Object.keys(copy).filter((key) => of(thing, key) !== of(copy, key));
  return keys.map((key) => `${key} ${of(copy, key)} for ${of(thing, key)}`).join(", ") || undefined;
}

const rules: ((all: StoredState) => Iterable<string>)[] = [
  function* nothingIsUnderWay({ queues, outboxes, orders }) {
    for (const { name, messages } of queues) if (messages) yield `${messages} messages in ${name}`;
    for (const [name, count] of Object.entries(outboxes)) {
      if (count) yield `${count} documents with unpublished events in ${name}`;
    }
    for (const { _id, status } of orders) {
      if (status === "CREATED" || status === "AWAITING_PAYMENT") yield `order ${_id} is ${status}`;
    }
  },

  function* ordersKnowTheTickets({ tickets, ticketReplicas: ticketCopies }) {
    const copies = byId(ticketCopies);
    for (const { userId: sellerId, ...ticket } of tickets) {
      const copy = copies.get(ticket._id);
      const sold = ticket.status === "SOLD";
      const category = ticket.category || "UNSPECIFIED"; // In the word of the contract.
      const wrong = copy ? difference({ sellerId, sold, ...ticket, category }, copy) : "is missing";
      if (wrong) yield `orders' copy of ticket ${ticket._id}: ${wrong}`;
    }
  },

  function* ticketsKnowTheirHolds({ tickets, orders }) {
    const newest = new Map<string, Order>();
    for (const order of orders) {
      if (order.holdNumber > (newest.get(order.ticketId)?.holdNumber ?? 0)) {
        newest.set(order.ticketId, order);
      }
    }
    for (const ticket of tickets) {
      const order = newest.get(ticket._id);
      const holds = order && HOLDING.includes(order.status);
      const status = !holds ? "ON_SALE" : order.status === "COMPLETED" ? "SOLD" : "HELD";
      const wanted = {
        status,
        orderId: holds ? order._id : "",
        holdNumber: order?.holdNumber ?? 0,
        holdVersion: order?.version ?? 0,
      };
      const wrong = difference(ticket, wanted);
      if (wrong) yield `ticket ${ticket._id}, wanted: ${wrong}`;
    }
  },

  function* paymentsKnowTheOrders({ orders, payments }) {
    const known = byId(payments);
    for (const { ticketId, userId, price, status, version, attemptId, _id } of orders) {
      const copy = known.get(_id)?.order;
      const mine = { ticketId, userId, price, status, version, attemptId };
      const wrong = copy ? difference(copy, mine) : "is missing";
      if (wrong) yield `payments' copy of order ${_id}, wanted: ${wrong}`;
    }
  },

  function* noTicketIsHeldTwice({ orders }) {
    const holders = new Map<string, string>();
    for (const { _id, ticketId, status } of orders) {
      if (!HOLDING.includes(status)) continue;
      const other = holders.get(ticketId);
      if (other) yield `ticket ${ticketId} is held by ${other} and ${_id}`;
      holders.set(ticketId, _id);
    }
  },

  function* noTicketIsLockedByNobody({ tickets, orders }) {
    const known = byId(orders);
    for (const { _id, status, orderId = "" } of tickets) {
      if (status !== "HELD" && status !== "SOLD") continue;
      const order = known.get(orderId);
      if (order?.ticketId !== _id || !HOLDING.includes(order.status)) {
        yield `ticket ${_id} is ${status} by order ${orderId}, which is ${order?.status}`;
      }
    }
  },

  function* moneyWasTakenForWhatWasSold({ orders, intents, refunded }) {
    const kept = new Map<string, Intent>();
    for (const intent of intents) {
      const { order_id: id } = intent.metadata;
      if (intent.status === "requires_capture") yield `money is still reserved for order ${id}`;
      if (intent.status === "requires_action") yield `order ${id} could still be paid`;
      if (intent.status !== "succeeded" || refunded.has(intent.id)) continue;
      if (kept.has(id)) yield `order ${id} was paid twice`;
      kept.set(id, intent);
    }
    for (const { _id, status, price, attemptId } of orders) {
      const intent = kept.get(_id);
      kept.delete(_id);
      if (status !== "COMPLETED" && intent) yield `order ${_id} is ${status}, and was paid`;
      if (status !== "COMPLETED") continue;
      if (intent?.amount_received !== price || intent.metadata.attempt_id !== attemptId) {
        yield `order ${_id} is completed for ${price}, and ${intent?.amount_received} was taken`;
      }
    }
    for (const id of kept.keys()) yield `order ${id} was paid, and is not there`;
  },

  function* theLedgerSaysWhatStripeSays({ payments, intents, refunded }) {
    const kept = new Map<string, number>();
    for (const { id, metadata, amount_received: taken } of intents) {
      const left = refunded.has(id) ? 0 : taken;
      kept.set(metadata.order_id, (kept.get(metadata.order_id) ?? 0) + left);
    }
    for (const { _id, postings } of payments) {
      const lines = postings.flatMap((posting) => posting.lines);
      const total = (of: typeof lines) => of.reduce((sum, { amount }) => sum + amount, 0);
      if (total(lines) !== 0) yield `the ledger of order ${_id} is off by ${total(lines)}`;
      const held = total(lines.filter(({ account }) => account === "stripe"));
      const inBooks = kept.get(_id) ?? 0;
      if (held !== inBooks) yield `the ledger has ${held} of order ${_id}, and Stripe ${inBooks}`;
    }
  },
];

/** All that is wrong, in sentences; nothing, if the marketplace agrees with itself. */
export const violationsIn = (all: StoredState): string[] => rules.flatMap((rule) => [...rule(all)]);

interface Books {
  payment_intents: Intent[];
  refunds: { payment_intent: string }[];
}

/** Reads everything that is stored anywhere. */
export async function readStoredState({ parts, stripe }: System): Promise<StoredState> {
  if (!parts.mongo || !parts.rabbit) throw new Error("only a system with parts of its own");
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
  const books = await fetchStripeRecords<Books>(stripe.url);
  const columns = "queues?columns=name,messages";
  return {
    tickets: await all("tickets", "tickets"),
    ticketReplicas: await all("orders", "tickets"),
    orders: await all("orders", "orders"),
    payments: await all("payments", "payments"),
    intents: books.payment_intents,
    refunded: new Set(books.refunds.map(({ payment_intent: id }) => id)),
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
