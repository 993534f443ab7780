import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { TicketSchema, type Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { formatMoney } from "./money.ts";
import { eventTimeWords } from "./event-time.ts";
import { categoryLabel } from "./tickets.ts";
import type { Visitor } from "./visitor.svelte.ts";

// What the visitor saw of a ticket goes with *Buy*. Where it has changed since, the page shows both.

/** The ticket as it is on the screen, for a field of the form. */
export const toSeen = (ticket: Ticket): string => toJsonString(TicketSchema, ticket);

/** What a form says that its visitor saw; nothing where it is not a ticket. */
export function fromSeen(text: unknown): Ticket | undefined {
  if (typeof text !== "string" || text === "") return undefined;
  try {
    const ticket = fromJsonString(TicketSchema, text, { ignoreUnknownFields: true });
    // A form may say anything: what no page could show was never seen.
    return /^[A-Z]{3}$/.test(ticket.price?.currencyCode ?? "") ? ticket : undefined;
  } catch {
    return undefined;
  }
}

export interface Change {
  label: string;
  before: string;
  now: string;
}

/** What a buyer sees of a ticket, in words. */
function look(ticket: Ticket, visitor: Visitor): [string, string][] {
  const { title, price, category, venue, hasCode } = ticket;
  return [
    ["Ticket", title],
    ["Price", price ? formatMoney(price, visitor.locale) : ""],
    ["When", eventTimeWords(ticket, visitor)?.there ?? "No date given"],
    ["Where", venue || "No venue given"],
    ["Category", category ? categoryLabel(category) : "No category"],
    ["Code", hasCode ? "Attached" : "None"],
  ];
}

/** What is different, side by side. */
export function changesOf(before: Ticket, now: Ticket, visitor: Visitor): Change[] {
  const old = look(before, visitor);
  return look(now, visitor)
    .map(([label, words], i) => ({ label, before: old[i]?.[1] ?? "", now: words }))
    .filter((change) => change.before !== change.now);
}
