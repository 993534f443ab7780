import type { Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { eventZone } from "#lib/format/event-time.ts";
import { decimalText } from "#lib/format/money.ts";
import { categoryKey } from "./ticket.ts";
import { millis, wallTime } from "#lib/format/time.ts";

/** What the form of a ticket holds, as text. */
export type TicketFormValues = Record<
  "title" | "price" | "currency" | "category" | "venue" | "eventTime" | "timeZone" | "code",
  string
> & { removeCode: boolean };

/**
 * A ticket as its form shows it; a new event's time zone begins as the visitor's. A form shows less than
 * a ticket has: no seconds, not which of two equal hours, no category that is newer than this page.
 */
export const ticketValues = (ticket: Ticket, localZone: string): TicketFormValues => ({
  title: ticket.title,
  price: decimalText(ticket.price!),
  currency: ticket.price!.currencyCode,
  category: categoryKey(ticket.category),
  venue: ticket.venue,
  eventTime: ticket.eventTime ? wallTime(millis(ticket.eventTime), eventZone(ticket)) : "",
  timeZone: ticket.eventTime ? eventZone(ticket) : localZone,
  code: "",
  removeCode: false,
});

/** What is chosen together where two changes of a ticket meet. */
export type Part = "title" | "price" | "category" | "venue" | "eventTime" | "code";

/** The fields of each part that a ticket shows again; its code is never shown. */
const fieldsOf = {
  title: ["title"],
  price: ["price", "currency"],
  category: ["category"],
  venue: ["venue"],
  eventTime: ["eventTime", "timeZone"],
} as const;

/** Whether two forms say the same in one part. */
export function isSame(part: Part, one: TicketFormValues, other: TicketFormValues): boolean {
  if (part === "code") return false;
  if (part === "eventTime" && !one.eventTime && !other.eventTime) return true;
  return fieldsOf[part].every((name) => one[name].trim() === other[name].trim());
}

/** Two changes of one part that were made apart. */
export interface Conflict {
  part: Part;
  /** Whether it was changed in this form too; else the form only shows what was before. */
  isTyped: boolean;
}

const parts = ["title", "price", "category", "eventTime", "venue"] as const;

/**
 * Where a form that was filled from one state of a ticket says something else than the ticket does now.
 * Nobody can compare codes: one that is typed is asked about.
 */
export function findConflicts(
  typed: TicketFormValues,
  seen: Ticket | undefined,
  now: Ticket,
): Conflict[] {
  const [before, current] = [seen && ticketValues(seen, ""), ticketValues(now, "")];
  const found: Conflict[] = parts
    .filter((part) => !isSame(part, typed, current))
    .filter((part) => !before || !isSame(part, before, current))
    .map((part) => ({ part, isTyped: !before || !isSame(part, typed, before) }));
  const hasCode = Boolean(typed.code) || typed.removeCode;
  return hasCode ? [...found, { part: "code", isTyped: true }] : found;
}
