import type { Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { decimalText } from "./money.ts";
import { categoryKey } from "./tickets.ts";
import { millis, wallTime } from "./time.ts";

/** What the form of a ticket holds, as text. */
export type TicketFormValues = Record<
  "title" | "price" | "currency" | "category" | "venue" | "eventTime" | "code",
  string
>;

/**
 * A ticket as its form shows it in `timeZone`. A form shows less than a ticket has: no seconds, not
 * which of two equal hours, no category that is newer than this page.
 */
export const ticketValues = (ticket: Ticket, timeZone: string): TicketFormValues => ({
  title: ticket.title,
  price: decimalText(ticket.price!),
  currency: ticket.price!.currencyCode,
  category: categoryKey(ticket.category),
  venue: ticket.venue,
  eventTime: ticket.eventTime ? wallTime(millis(ticket.eventTime), timeZone) : "",
  code: "",
});
