import { timestampDate } from "@bufbuild/protobuf/wkt";
import { TicketStatus, type Ticket as TicketMessage } from "@ticketing/proto/tickets/v1/ticket";
import { Schema, type Connection } from "mongoose";
import { toMinor } from "#runtime/money.ts";
import { duplicateOf } from "#runtime/mongo.ts";

/** Our copy of what orders needs to know of a ticket, kept by events (R41). */
export interface TicketFields {
  _id: string;
  sellerId: string;
  title: string;
  price: number;
  currency: string;
  eventTime?: Date | undefined;
  withdrawn: boolean;
  /** After a refund the ticket is not for sale before its seller relists it. */
  sold: boolean;
  version: number;
  /** The version that last changed the price: who saw an older one saw another price. */
  priceVersion: number;
}

const schema = new Schema<TicketFields>(
  {
    _id: { type: String, required: true },
    sellerId: { type: String, required: true },
    title: { type: String, required: true },
    price: { type: Number, required: true },
    currency: { type: String, required: true },
    eventTime: Date,
    withdrawn: { type: Boolean, required: true },
    sold: { type: Boolean, default: false },
    version: { type: Number, required: true },
    priceVersion: { type: Number, required: true },
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
    eventTime: ticket.eventTime && timestampDate(ticket.eventTime),
    withdrawn: ticket.withdrawn || ticket.status === TicketStatus.WITHDRAWN,
    sold: ticket.status === TicketStatus.SOLD,
    version: Number(ticket.version),
    priceVersion: Number(ticket.priceVersion),
  };
}

/** Keeps the newer of ours and theirs, so that events may come late, twice or out of order (R71). */
export async function keep(tickets: Tickets, ticket: TicketMessage | undefined): Promise<void> {
  if (!ticket) throw new Error("an event without its ticket");
  const { eventTime, ...fields } = toFields(ticket);
  const change = eventTime
    ? { $set: { ...fields, eventTime } }
    : { $set: fields, $unset: { eventTime: 1 as const } };
  const older = { _id: ticket.id, version: { $lt: fields.version } };
  try {
    await tickets.updateOne(older, change, { upsert: true });
  } catch (error) {
    if (!duplicateOf(error)) throw error;
    // Ours is there: as new or newer, or an older one that was put there in this very moment.
    await tickets.updateOne(older, change);
  }
}
