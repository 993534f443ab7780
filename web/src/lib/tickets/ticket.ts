import { Category, TicketStatus, type Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { toMillis } from "#lib/format/time.ts";

/** The categories as the storefront names them; `key` is used in addresses, forms and style sheets. */
export const categories = [
  { value: Category.CONCERT, key: "concert", label: "Concert" },
  { value: Category.SPORT, key: "sport", label: "Sport" },
  { value: Category.THEATRE, key: "theatre", label: "Theatre" },
  { value: Category.FESTIVAL, key: "festival", label: "Festival" },
  { value: Category.CONFERENCE, key: "conference", label: "Conference" },
  { value: Category.OTHER, key: "other", label: "Other" },
] as const;

export const categoryKey = (value: Category): string =>
  categories.find((each) => each.value === value)?.key ?? "";

export const categoryLabel = (value: Category): string =>
  categories.find((each) => each.value === value)?.label ?? "Ticket";

/** The category of a form or an address; a key that is not in the list means none. */
export const categoryOf = (key: string | null): Category =>
  categories.find((each) => each.key === key)?.value ?? Category.UNSPECIFIED;

/** The style sheet's class for the colour of a category's tickets. */
export const stockClass = (value: Category): string => `stock-${categoryKey(value) || "other"}`;

const statusLabels: Partial<Record<TicketStatus, string>> = {
  [TicketStatus.ON_SALE]: "For sale",
  [TicketStatus.HELD]: "Reserved",
  [TicketStatus.SOLD]: "Sold",
  [TicketStatus.WITHDRAWN]: "Withdrawn",
};

export const ticketStatusLabel = ({ status }: Ticket): string => statusLabels[status] ?? "";

export const hasStarted = ({ eventTime }: Ticket, now: number): boolean =>
  eventTime !== undefined && toMillis(eventTime) <= now;

/** Whether the ticket can be bought. */
export const isForSale = (ticket: Ticket, now: number): boolean =>
  ticket.status === TicketStatus.ON_SALE && !hasStarted(ticket, now);

const SERIAL_NUMBER_LENGTH = 6;

/** The short number printed on a ticket: the end of its id, to tell two tickets apart. */
export const serialNumber = (id: string): string => id.slice(-SERIAL_NUMBER_LENGTH).toUpperCase();
