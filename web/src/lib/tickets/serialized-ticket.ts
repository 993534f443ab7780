import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { TicketSchema, type Ticket } from "@ticketing/proto/web/tickets/v1/ticket";

/** A ticket as the page displays it, for a hidden field of a form. */
export const serializeTicket = (ticket: Ticket): string => toJsonString(TicketSchema, ticket);

/** Reads such a field; undefined if it holds no ticket. */
export function parseTicket(text: unknown): Ticket | undefined {
  if (typeof text !== "string" || text === "") return undefined;
  try {
    const ticket = fromJsonString(TicketSchema, text, { ignoreUnknownFields: true });
    // A client can send anything. A ticket that no page could display was never displayed.
    return /^[A-Z]{3}$/.test(ticket.price?.currencyCode ?? "") ? ticket : undefined;
  } catch {
    return undefined;
  }
}
