import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  Category,
  TicketStatus,
  type Ticket as TicketMessage,
} from "@ticketing/proto/tickets/v1/ticket";
import { Schema, type Connection } from "mongoose";
import { toMinor } from "#runtime/money.ts";
import { duplicateKeyIndex } from "#runtime/store/database.ts";

/** What kind of event it is for, as it is stored: the contract's word. */
export type CategoryWord = keyof typeof Category;

const categoryWords = new Map(
  Object.entries(Category).map(([word, value]) => [value as number, word as CategoryWord]),
);

/** Our copy of what orders needs to know of a ticket, kept by events (R41). */
export interface TicketFields {
  _id: string;
  sellerId: string;
  title: string;
  price: number;
  currency: string;
  category: CategoryWord;
  venue: string;
  eventTime?: Date | undefined;
  /** The IANA name of the time zone that the event time is shown in; empty where nobody said. */
  timeZone: string;
  withdrawn: boolean;
  /** After a refund the ticket is not for sale before its seller relists it. */
  sold: boolean;
  version: number;
  /** The version that last changed the price: who saw an older one saw another price. */
  priceVersion: number;
  /** The version that last changed what else a buyer sees. */
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
  if (!ticket.price) throw new Error(`ticket ${ticket.id} without a price`);
  const { amount, currency } = toMinor(ticket.price, "price");
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

/**
 * Keeps the newer of ours and theirs, so that events may come late, twice or out of order (R71). A copy
 * from before `detailsVersion` or the time zone was kept is completed by the same version too.
 */
export async function keep(tickets: Tickets, ticket: TicketMessage | undefined): Promise<void> {
  if (!ticket) throw new Error("an event without its ticket");
  const { eventTime, ...fields } = toFields(ticket);
  const change = eventTime
    ? { $set: { ...fields, eventTime } }
    : { $set: fields, $unset: { eventTime: 1 as const } };
  const { version } = fields;
  const isIncomplete = (["detailsVersion", "timeZone"] as const).map((field) => ({
    version,
    [field]: { $exists: false },
  }));
  const older = { _id: ticket.id, $or: [{ version: { $lt: version } }, ...isIncomplete] };
  try {
    await tickets.updateOne(older, change, { upsert: true });
  } catch (error) {
    if (!duplicateKeyIndex(error)) throw error;
    // Ours is there: as new or newer, or an older one that was put there in this very moment.
    await tickets.updateOne(older, change);
  }
}
