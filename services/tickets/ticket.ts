import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Category, TicketStatus, type TicketSchema } from "@ticketing/proto/tickets/v1/ticket";
import {
  TicketCreatedSchema,
  TicketUpdatedSchema,
} from "@ticketing/proto/tickets/v1/ticket_events";
import { Schema, type Connection, type HydratedDocument } from "mongoose";
import { aggregate, record, type AggregateFields } from "#runtime/store/aggregate.ts";
import { TicketError } from "./errors.ts";
import { toMoney } from "#runtime/money.ts";
import type { IdempotencyKey } from "#runtime/store/request-id.ts";
import { attachCode, dropSeenCode } from "./attached-code.ts";
import { sameDetails } from "./details.ts";

type Status = "ON_SALE" | "HELD" | "SOLD" | "WITHDRAWN";
export type CategoryWord = Exclude<keyof typeof Category, "UNSPECIFIED">;

/** What the seller says of a ticket, and may change while nobody holds it. */
export interface Listing {
  title: string;
  price: number;
  currency: string;
  category?: CategoryWord | undefined;
  venue?: string | undefined;
  eventTime?: Date | undefined;
  /** The IANA name of the time zone that the event time is shown in; only where there is one. */
  timeZone?: string | undefined;
}

export interface TicketFields extends AggregateFields, Listing, Partial<IdempotencyKey> {
  userId: string;
  /** What opens the door (R9). Read by one method alone, and loaded only where it is asked for. */
  code?: string | undefined;
  hasCode: boolean;
  /** The order whose buyer has opened the code, and when; and the one for which it opens no more. */
  codeOpenedFor?: string | undefined;
  codeOpenTime?: Date | undefined;
  codeSealedFor?: string | undefined;
  /** Whether the attached code is the one that the buyer of `codeOpenedFor` has seen. */
  codeSeen: boolean;
  /** The digests of all codes of this ticket that a buyer has seen: none is attached again. */
  seenCodes: string[];
  /** A code was seen and its sale undone: the seller has not said yet what opens the door now. */
  needsNewCode: boolean;
  status: Status;
  /** The seller's own wish, kept through a hold that came in the same moment. */
  withdrawn: boolean;
  /** Withdrawn for as long as its seller is out; apart from their wish, which counts again then. */
  sellerBanned: boolean;
  priceVersion: number;
  /** The version that last changed what a buyer sees beside the price. */
  detailsVersion: number;
  /** The date for ordering: tickets without one come last. */
  eventOrder: Date;
  orderId?: string | undefined;
  heldUntil?: Date | undefined;
  buyerId?: string | undefined;
  /** The newest state of the newest hold that we have heard of; see `keepHold`. */
  holdNumber: number;
  holdVersion: number;
  /** The greatest number of a hold that ended in a refund, as far as we have heard. */
  refundedHold: number;
  /** The orders that have bought it, those of which the money is back among them. */
  sales: string[];
}

/** Later than every event: where a ticket without a date stands in the order of dates. */
export const NO_DATE = new Date("9999-12-31T00:00:00Z");

const schema = new Schema<TicketFields>({
  userId: { type: String, required: true },
  title: { type: String, required: true },
  price: { type: Number, required: true },
  currency: { type: String, required: true },
  category: String,
  venue: String,
  eventTime: Date,
  timeZone: String,
  eventOrder: { type: Date, default: NO_DATE },
  code: { type: String, select: false },
  hasCode: { type: Boolean, default: false },
  codeOpenedFor: String,
  codeOpenTime: Date,
  codeSealedFor: String,
  codeSeen: {
    type: Boolean,
    // Of a ticket from before this was kept, nobody knows whether the code was changed since.
    default(this: TicketFields) {
      return Boolean(this.codeOpenedFor);
    },
  },
  seenCodes: [String],
  needsNewCode: { type: Boolean, default: false },
  status: { type: String, required: true },
  withdrawn: { type: Boolean, default: false },
  sellerBanned: { type: Boolean, default: false },
  priceVersion: { type: Number, default: 1 },
  detailsVersion: { type: Number, default: 1 },
  orderId: String,
  heldUntil: Date,
  buyerId: String,
  holdNumber: { type: Number, default: 0 },
  holdVersion: { type: Number, default: 0 },
  refundedHold: { type: Number, default: 0 },
  sales: [String],
  requestId: String,
  requestHash: String,
});
aggregate(schema);
schema.index(
  { userId: 1, requestId: 1 },
  { name: "request", unique: true, partialFilterExpression: { requestId: { $exists: true } } },
);
schema.index({ status: 1, _id: -1 });
schema.index({ status: 1, currency: 1, price: 1, _id: 1 });
schema.index({ status: 1, eventOrder: 1, _id: 1 });
schema.index({ userId: 1, _id: -1 });
schema.index(
  { title: "text", venue: "text", category: "text" },
  { name: "words", default_language: "none" },
);

export const ticketModel = (db: Connection) => db.model("Ticket", schema, "tickets");
export type Tickets = ReturnType<typeof ticketModel>;
export type Ticket = HydratedDocument<TicketFields>;

/** Whether nobody may buy it, held or not. */
const isOffMarket = ({ withdrawn, sellerBanned }: TicketFields): boolean =>
  withdrawn || Boolean(sellerBanned);

/** What a ticket is while nobody holds it. */
const statusAtRest = (ticket: TicketFields): Status =>
  isOffMarket(ticket) ? "WITHDRAWN" : "ON_SALE";

/** The ticket as the contract has it; the code is not in it. */
export function toProto(ticket: TicketFields): MessageInitShape<typeof TicketSchema> {
  return {
    id: ticket._id,
    userId: ticket.userId,
    title: ticket.title,
    price: toMoney({ amount: ticket.price, currency: ticket.currency }),
    category: ticket.category ? Category[ticket.category] : Category.UNSPECIFIED,
    venue: ticket.venue ?? "",
    ...(ticket.eventTime ? { eventTime: timestampFromDate(ticket.eventTime) } : {}),
    status: TicketStatus[ticket.status],
    orderId: ticket.orderId ?? "",
    ...(ticket.heldUntil ? { heldUntil: timestampFromDate(ticket.heldUntil) } : {}),
    version: BigInt(ticket.version),
    priceVersion: BigInt(ticket.priceVersion),
    detailsVersion: BigInt(ticket.detailsVersion ?? 1), // Documents read lean have no defaults.
    createTime: timestampFromDate(ticket.createTime),
    updateTime: timestampFromDate(ticket.updateTime),
    hasCode: ticket.hasCode,
    withdrawn: isOffMarket(ticket),
    needsNewCode: Boolean(ticket.needsNewCode),
    timeZone: ticket.timeZone ?? "",
  };
}

/** Tells everybody who keeps a copy what the ticket is now. */
export const recordUpdate = (ticket: Ticket): void =>
  record(ticket, TicketUpdatedSchema, () => ({ ticket: toProto(ticket) }));

/** A new ticket, on sale once it is saved. */
export function list(ticket: Ticket): void {
  ticket.status = "ON_SALE";
  ticket.eventOrder = ticket.eventTime ?? NO_DATE;
  ticket.hasCode = Boolean(ticket.code);
  record(ticket, TicketCreatedSchema, () => ({ ticket: toProto(ticket) }));
}

/** Only the seller changes a ticket, and only while nobody holds it (R6, R30). */
export function mustBeChangeable(ticket: Ticket, userId: string): void {
  if (ticket.userId !== userId) {
    throw new TicketError("NOT_THE_SELLER", "only its seller may change a ticket");
  }
  if (ticket.status === "SOLD") throw new TicketError("TICKET_SOLD", "this ticket is sold");
  if (ticket.status !== "HELD") return;
  const until = ticket.heldUntil?.toISOString() ?? "";
  throw new TicketError("TICKET_HELD", `somebody is buying this ticket; try again after ${until}`, {
    metadata: { until },
  });
}

/** What the seller wants it to be from now on; a `code` that is left out stays. */
export function edit(ticket: Ticket, listing: Listing, code?: string): void {
  const repriced = ticket.price !== listing.price || ticket.currency !== listing.currency;
  const hadCode = ticket.hasCode;
  if (repriced) ticket.priceVersion = ticket.version + 1;
  const looksTheSame = sameDetails(ticket, listing);
  ticket.set({ ...listing, eventOrder: listing.eventTime ?? NO_DATE });
  if (code !== undefined) attachCode(ticket, code);
  const lostItsCode = hadCode && !ticket.hasCode;
  if (!looksTheSame || lostItsCode) ticket.detailsVersion = ticket.version + 1;
  recordUpdate(ticket);
}

/** Takes a ticket off the market, or puts it back. Answers whether that changes anything. */
export function setWithdrawn(ticket: Ticket, withdrawn: boolean): boolean {
  if (ticket.withdrawn === withdrawn) return false;
  ticket.withdrawn = withdrawn;
  ticket.status = statusAtRest(ticket);
  recordUpdate(ticket);
  return true;
}

/** Takes a ticket off the market while its seller is out; a held one when the hold ends. */
export function setSellerBanned(ticket: Ticket, banned: boolean): boolean {
  if (ticket.sellerBanned === banned) return false;
  ticket.sellerBanned = banned;
  if (ticket.status !== "HELD" && ticket.status !== "SOLD") ticket.status = statusAtRest(ticket);
  recordUpdate(ticket);
  return true;
}

/** Puts a ticket on sale again, with a new code where the old one was seen (R9). */
export function relist(ticket: Ticket, code?: string): boolean {
  const hadCode = ticket.hasCode;
  if (code !== undefined) attachCode(ticket, code);
  if (ticket.needsNewCode || (ticket.hasCode && ticket.codeSeen)) {
    throw new TicketError(
      "CODE_ALREADY_SEEN",
      "a buyer has seen the ticket's code; attach a new one, or say that it has none",
    );
  }
  if (hadCode && !ticket.hasCode) ticket.detailsVersion = ticket.version + 1;
  if (setWithdrawn(ticket, false)) return true;
  if (code !== undefined) recordUpdate(ticket);
  return code !== undefined;
}

/** A state of an order, as far as its ticket cares. */
export interface Hold {
  orderId: string;
  buyerId: string;
  holdNumber: number;
  version: number;
  expiresAt: Date;
  state: "HELD" | "SOLD" | "FREE" | "REFUNDED";
}

const isNewer = (hold: Hold, ticket: TicketFields): boolean =>
  hold.holdNumber > ticket.holdNumber ||
  (hold.holdNumber === ticket.holdNumber && hold.version > ticket.holdVersion);

/**
 * That the ticket was bought is remembered for good, and that a sale was undone takes it off the market
 * until its seller relists it, also where a later hold was heard of first. Answers whether that is news.
 */
function keepSale(ticket: Ticket, { orderId, holdNumber, state }: Hold): boolean {
  if (state !== "SOLD" && state !== "REFUNDED") return false;
  const isNew = !ticket.sales.includes(orderId);
  if (isNew) ticket.sales = [...ticket.sales, orderId].sort();
  if (state === "SOLD" || holdNumber <= ticket.refundedHold) return isNew;
  ticket.refundedHold = holdNumber;
  ticket.withdrawn = true;
  if (ticket.codeOpenedFor === orderId) dropSeenCode(ticket);
  if (ticket.status === "ON_SALE") ticket.status = "WITHDRAWN";
  return true;
}

/**
 * Mirrors who holds the ticket (R31). The holds of a ticket are strictly ordered, and the states of
 * one hold too, so the greatest pair of both is what is true now: an event that tells of an earlier
 * one changes nothing, in whatever order they come. Answers whether it changed anything.
 */
export function keepHold(ticket: Ticket, hold: Hold): boolean {
  const isNews = keepSale(ticket, hold);
  if (!isNewer(hold, ticket)) {
    if (isNews) recordUpdate(ticket);
    return isNews;
  }
  const holds = hold.state === "HELD" || hold.state === "SOLD";
  ticket.holdNumber = hold.holdNumber;
  ticket.holdVersion = hold.version;
  ticket.orderId = holds ? hold.orderId : undefined;
  ticket.heldUntil = hold.state === "HELD" ? hold.expiresAt : undefined;
  ticket.buyerId = holds ? hold.buyerId : undefined;
  if (hold.state === "HELD" || hold.state === "SOLD") ticket.status = hold.state;
  else ticket.status = statusAtRest(ticket);
  recordUpdate(ticket);
  return true;
}
