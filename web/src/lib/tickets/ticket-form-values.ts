import type { Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { eventZone } from "#lib/format/event-time.ts";
import { decimalText } from "#lib/format/money.ts";
import { toMillis, localTime } from "#lib/format/time.ts";
import { categoryKey } from "./ticket.ts";

/** The fields of a ticket's form, as text. */
export type TicketFormValues = Record<
  "title" | "price" | "currency" | "category" | "venue" | "eventTime" | "timeZone" | "code",
  string
> & { removeCode: boolean };

/**
 * A ticket as its form shows it; the time zone of a ticket without a date starts as the user's. A form
 * shows less than a ticket has: no seconds, not which of two equal hours, and no category that is newer
 * than this page.
 */
export const ticketFormValues = (ticket: Ticket, localZone: string): TicketFormValues => ({
  title: ticket.title,
  price: decimalText(ticket.price!),
  currency: ticket.price!.currencyCode,
  category: categoryKey(ticket.category),
  venue: ticket.venue,
  eventTime: ticket.eventTime ? localTime(toMillis(ticket.eventTime), eventZone(ticket)) : "",
  timeZone: ticket.eventTime ? eventZone(ticket) : localZone,
  code: "",
  removeCode: false,
});
