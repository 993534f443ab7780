import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { TicketSchema, type Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { formatMoney } from "./money.ts";
import { categoryLabel } from "./tickets.ts";
import { formatTime, millis } from "./time.ts";
import type { Visitor } from "./visitor.svelte.ts";

// What the visitor saw of a ticket goes with *Buy*. Where it has changed since, the page shows both.

/** The ticket as it is on the screen, for a field of the form. */
export const toSeen = (ticket: Ticket): string => toJsonString(TicketSchema, ticket);

/** What a form says that its visitor saw; nothing where it is not a ticket. */
export function fromSeen(text: unknown): Ticket | undefined {
  if (typeof text !== "string" || text === "") return undefined;
  try {
    return fromJsonString(TicketSchema, text, { ignoreUnknownFields: true });
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
function look(ticket: Ticket, { locale, timeZone }: Visitor): [string, string][] {
  const { title, price, category, venue, eventTime, hasCode } = ticket;
  return [
    ["Ticket", title],
    ["Price", price ? formatMoney(price, locale) : ""],
    ["When", eventTime ? formatTime(millis(eventTime), locale, timeZone) : "No date given"],
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
