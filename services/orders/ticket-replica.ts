import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  Category,
  TicketStatus,
  type Ticket as TicketMessage,
} from "@ticketing/proto/tickets/v1/ticket";
import { Schema, type Connection, type mongo } from "mongoose";
import { toMinor } from "#runtime/values/money.ts";
import { required } from "#runtime/messaging/event-handler.ts";
import { batched } from "#runtime/messaging/batched.ts";
import { upsertAllIfOlder, type ReplicaUpdate } from "#runtime/store/upsert.ts";

/** The category as it is stored: the name of the contract's enum value. */
export type CategoryWord = keyof typeof Category;

const categoryWords = new Map(
  Object.entries(Category).map(([word, value]) => [value as number, word as CategoryWord]),
);

/** What orders knows of a ticket: a replica, kept current by events (R41). */
export interface TicketFields {
  _id: string;
  sellerId: string;
  title: string;
  price: number;
  currency: string;
  category: CategoryWord;
  venue: string;
  eventTime?: Date | undefined;
  /** The IANA name of the time zone that the event time is shown in; empty if unknown. */
  timeZone: string;
  withdrawn: boolean;
  /** A refunded ticket is not for sale until its seller relists it. */
  sold: boolean;
  version: number;
  /** The version that last changed the price. */
  priceVersion: number;
  /** The version that last changed anything else that a buyer sees. */
  detailsVersion: number;
}

const schema = new Schema<TicketFields>(
  {
    _id: { type: String, required: true },
    sellerId: { type: String, required: true },
    title: { type: String, required: true },
    price: { type: Number, required: true },
    currency: { type: String, required: true },
    category: { type: String, default: "UNSPECIFIED" },
    venue: { type: String, default: "" },
    eventTime: Date,
    timeZone: { type: String, default: "" },
    withdrawn: { type: Boolean, required: true },
    sold: { type: Boolean, default: false },
    version: { type: Number, required: true },
    priceVersion: { type: Number, required: true },
    detailsVersion: { type: Number, default: 0 },
  },
  { versionKey: false },
);

export const ticketModel = (db: Connection) => db.model("Ticket", schema, "tickets");
export type Tickets = ReturnType<typeof ticketModel>;

function toFields(ticket: TicketMessage): Omit<TicketFields, "_id"> {
  const { amount, currency } = toMinor(required(ticket.price, "price"), "price");
  return {
    sellerId: ticket.userId,
    title: ticket.title,
    price: amount,
    currency,
    category: categoryWords.get(ticket.category) ?? "UNSPECIFIED",
    venue: ticket.venue,
    eventTime: ticket.eventTime && timestampDate(ticket.eventTime),
    timeZone: ticket.timeZone,
    withdrawn: ticket.withdrawn || ticket.status === TicketStatus.WITHDRAWN,
    sold: ticket.status === TicketStatus.SOLD,
    version: Number(ticket.version),
    priceVersion: Number(ticket.priceVersion),
    detailsVersion: Number(ticket.detailsVersion),
  };
}

/** The write that stores a ticket unless the replica is as new. */
function toUpdate(ticket: TicketMessage): ReplicaUpdate<TicketFields> {
  const { eventTime, ...fields } = toFields(ticket);
  const update = eventTime
    ? { $set: { ...fields, eventTime } }
    : { $set: fields, $unset: { eventTime: 1 as const } };
  const { version } = fields;
  const isIncomplete = (["detailsVersion", "timeZone"] as const).map((field) => ({
    version,
    [field]: { $exists: false },
  }));
  return {
    filter: { _id: ticket.id, $or: [{ version: { $lt: version } }, ...isIncomplete] },
    update,
  };
}

/**
 * Returns the function that stores a ticket unless the replica is as new, so events may arrive late, twice
 * or out of order (R71). Tickets that arrive together are stored in one write. A replica stored before
 * `detailsVersion` or the time zone existed is completed by the same version.
 */
export function ticketStore(
  tickets: Tickets,
): (ticket: TicketMessage | undefined) => Promise<void> {
  const store = batched<ReplicaUpdate<TicketFields>>((updates) =>
    upsertAllIfOlder(tickets.collection as unknown as mongo.Collection<TicketFields>, updates),
  );
  return async (ticket) => store(toUpdate(required(ticket, "ticket")));
}
