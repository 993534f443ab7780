import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { TicketSchema, type Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { formatMoney } from "#lib/format/money.ts";
import { formatEventTime } from "#lib/format/event-time.ts";
import { categoryLabel } from "./ticket.ts";
import type { Preferences } from "#lib/preferences.svelte.ts";

// What the visitor saw of a ticket goes with *Buy*. Where it has changed since, the page shows both.

/** The ticket as it is on the screen, for a field of the form. */
export const serializeTicket = (ticket: Ticket): string => toJsonString(TicketSchema, ticket);

/** What a form says that its visitor saw; nothing where it is not a ticket. */
export function parseTicket(text: unknown): Ticket | undefined {
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
function look(ticket: Ticket, preferences: Preferences): [string, string][] {
  const { title, price, category, venue, hasCode } = ticket;
  return [
    ["Ticket", title],
    ["Price", price ? formatMoney(price, preferences.locale) : ""],
    ["When", formatEventTime(ticket, preferences)?.there ?? "No date given"],
    ["Where", venue || "No venue given"],
    ["Category", category ? categoryLabel(category) : "No category"],
    ["Code", hasCode ? "Attached" : "None"],
  ];
}

/** What is different, side by side. */
export function ticketChanges(before: Ticket, now: Ticket, preferences: Preferences): Change[] {
  const old = look(before, preferences);
  return look(now, preferences)
    .map(([label, words], i) => ({ label, before: old[i]?.[1] ?? "", now: words }))
    .filter((change) => change.before !== change.now);
}
