import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Category, type TicketSchema, TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import {
  TicketCreatedSchema,
  TicketUpdatedSchema,
} from "@ticketing/proto/tickets/v1/ticket_events";
import { type Connection, Schema } from "mongoose";
import { aggregate, type AggregateFields, record } from "#runtime/store/aggregate.ts";
import type { IdempotencyKey } from "#runtime/store/request-id.ts";
import { toMoney } from "#runtime/values/money.ts";
import { attachCode } from "./codes/attached-code.ts";
import { TicketError } from "./errors.ts";
import { sameDetails } from "./listings/listing-details.ts";
import { searchTerms } from "./listings/search-terms.ts";

type Status = "ON_SALE" | "HELD" | "SOLD" | "WITHDRAWN";

export type CategoryWord = Exclude<keyof typeof Category, "UNSPECIFIED">;

/** What the seller enters, and may change while the ticket is not held. */
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
  /** The entry code (R9). One method reads it; queries leave it out unless they ask for it. */
  code?: string | undefined;
  hasCode: boolean;
  /** The order whose buyer has revealed the code, and when. */
  codeOpenedFor?: string | undefined;
  codeOpenTime?: Date | undefined;
  /** The order for which the code is locked, because its buyer has requested a refund. */
  codeSealedFor?: string | undefined;
  /** Whether the buyer of `codeOpenedFor` has seen the attached code. */
  codeSeen: boolean;
  /** Digests of all codes of this ticket that a buyer has seen; none may be attached again. */
  seenCodes: string[];
  /** The sale of a revealed code was refunded, and the seller has not attached another code yet. */
  needsNewCode: boolean;
  status: Status;
  /** Set by the seller; a hold taken at the same time does not change it. */
  withdrawn: boolean;
  /** Withdrawn while its seller is banned; kept apart from `withdrawn`, which applies again later. */
  sellerBanned: boolean;
  priceVersion: number;
  /** The version that last changed anything but the price that a buyer sees. */
  detailsVersion: number;
  /** The event time to sort by: tickets without one come last. */
  eventOrder: Date;
  /** What the ticket is found by: see `searchTerms`. */
  terms: string[];
  orderId?: string | undefined;
  heldUntil?: Date | undefined;
  buyerId?: string | undefined;
  /** The newest hold known, and the newest version of it; see `applyHold`. */
  holdNumber: number;
  holdVersion: number;
  /** The greatest number of a hold that is known to have ended in a refund. */
  refundedHold: number;
  /** The orders that bought the ticket, refunded ones included. */
  sales: string[];
}

/** Later than every event: sorts tickets without a date last. */
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
  terms: { type: [String], default: undefined },
  code: { type: String, select: false },
  hasCode: { type: Boolean, default: false },
  codeOpenedFor: String,
  codeOpenTime: Date,
  codeSealedFor: String,
  codeSeen: {
    type: Boolean,
    // For a ticket stored before this field existed, assume that the code has not changed since.
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

/** The indexes that lists are read by. */
export const ticketIndexes = {
  newest: { status: 1, _id: -1 },
  price: { status: 1, currency: 1, price: 1, _id: 1 },
  eventTime: { status: 1, eventOrder: 1, _id: 1 },
  seller: { userId: 1, _id: -1 },
  terms: { status: 1, terms: 1 },
} as const;
for (const index of Object.values(ticketIndexes)) schema.index(index);

export const ticketModel = (db: Connection) => db.model("Ticket", schema, "tickets");

export type Tickets = ReturnType<typeof ticketModel>;

/** A ticket as a plain object. */
export type Ticket = TicketFields;

/** Whether the ticket is off sale, held or not. */
const isUnavailable = ({ withdrawn, sellerBanned }: TicketFields): boolean =>
  withdrawn || Boolean(sellerBanned);

/** The status of a ticket that is not held. */
export const statusWhenFree = (ticket: TicketFields): Status =>
  isUnavailable(ticket) ? "WITHDRAWN" : "ON_SALE";

/** The ticket as a message of the contract, without its code. */
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
    detailsVersion: BigInt(ticket.detailsVersion ?? 1), // Lean documents have no defaults.
    createTime: timestampFromDate(ticket.createTime),
    updateTime: timestampFromDate(ticket.updateTime),
    hasCode: ticket.hasCode,
    withdrawn: isUnavailable(ticket),
    needsNewCode: Boolean(ticket.needsNewCode),
    timeZone: ticket.timeZone ?? "",
  };
}

/** Records the ticket's new state for services that replicate it. */
export const recordUpdate = (ticket: Ticket): void =>
  record(ticket, TicketUpdatedSchema, () => ({ ticket: toProto(ticket) }));

/** Lists a new ticket. It is on sale once it is saved. */
export function list(ticket: Ticket): void {
  ticket.status = "ON_SALE";
  ticket.eventOrder = ticket.eventTime ?? NO_DATE;
  ticket.terms = searchTerms(ticket);
  ticket.hasCode = Boolean(ticket.code);
  record(ticket, TicketCreatedSchema, () => ({ ticket: toProto(ticket) }));
}

/** Only the seller may change a ticket, and only while it is not held (R6, R30). */
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

/** Replaces the listing. Without `code` the attached code stays. */
export function edit(ticket: Ticket, listing: Listing, code?: string): void {
  const repriced = ticket.price !== listing.price || ticket.currency !== listing.currency;
  const hadCode = ticket.hasCode;
  if (repriced) ticket.priceVersion = ticket.version + 1;
  const looksTheSame = sameDetails(ticket, listing);
  Object.assign(ticket, listing, {
    eventOrder: listing.eventTime ?? NO_DATE,
    terms: searchTerms(listing),
  });
  if (code !== undefined) attachCode(ticket, code);
  const lostItsCode = hadCode && !ticket.hasCode;
  if (!looksTheSame || lostItsCode) ticket.detailsVersion = ticket.version + 1;
  recordUpdate(ticket);
}

/** Withdraws a ticket or puts it back on sale. Returns whether anything changed. */
export function setWithdrawn(ticket: Ticket, withdrawn: boolean): boolean {
  if (ticket.withdrawn === withdrawn) return false;
  ticket.withdrawn = withdrawn;
  ticket.status = statusWhenFree(ticket);
  recordUpdate(ticket);
  return true;
}

/** Withdraws a ticket while its seller is banned; a held one is withdrawn when its hold ends. */
export function setSellerBanned(ticket: Ticket, banned: boolean): boolean {
  if (ticket.sellerBanned === banned) return false;
  ticket.sellerBanned = banned;
  if (ticket.status !== "HELD" && ticket.status !== "SOLD") ticket.status = statusWhenFree(ticket);
  recordUpdate(ticket);
  return true;
}

/** Puts a ticket back on sale. A code that a buyer has seen must be replaced (R9). */
export function relist(ticket: Ticket, code?: string): boolean {
  const hadCode = ticket.hasCode;
  if (code !== undefined) attachCode(ticket, code);
  if (ticket.needsNewCode || (ticket.hasCode && ticket.codeSeen)) {
    throw new TicketError(
      "CODE_ALREADY_SEEN",
      "a buyer has seen the ticket's code; attach a new one, or remove it",
    );
  }
  if (hadCode && !ticket.hasCode) ticket.detailsVersion = ticket.version + 1;
  if (setWithdrawn(ticket, false)) return true;
  if (code !== undefined) recordUpdate(ticket);
  return code !== undefined;
}
