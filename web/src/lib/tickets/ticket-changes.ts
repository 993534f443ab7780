import type { Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { formatEventTime } from "#lib/format/event-time.ts";
import { formatMoney } from "#lib/format/money.ts";
import type { Preferences } from "#lib/preferences.svelte.ts";
import { categoryLabel } from "./ticket.ts";

/** A difference between the ticket that the buyer was shown and the ticket as it is. */
export interface TicketChange {
  label: string;
  before: string;
  now: string;
}

/** The details of a ticket as a buyer reads them. */
function displayedDetails(ticket: Ticket, preferences: Preferences): [string, string][] {
  const { title, price, category, venue, hasCode } = ticket;
  return [
    ["Ticket", title],
    ["Price", price ? formatMoney(price, preferences.locale) : ""],
    ["When", formatEventTime(ticket, preferences)?.atVenue ?? "No date"],
    ["Where", venue || "No venue"],
    ["Category", category ? categoryLabel(category) : "No category"],
    ["Code", hasCode ? "Included" : "None"],
  ];
}

/** The details that differ, old and new. */
export function ticketChanges(
  before: Ticket,
  now: Ticket,
  preferences: Preferences,
): TicketChange[] {
  const old = displayedDetails(before, preferences);
  return displayedDetails(now, preferences)
    .map(([label, text], i) => ({ label, before: old[i]?.[1] ?? "", now: text }))
    .filter((change) => change.before !== change.now);
}
