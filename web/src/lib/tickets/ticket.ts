import { Category, TicketStatus, type Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { millis } from "#lib/format/time.ts";

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

/** From a form or an address; what is not on the list is no category. */
export const categoryOf = (key: string | null): Category =>
  categories.find((each) => each.key === key)?.value ?? Category.UNSPECIFIED;

/** The paper that it is printed on. */
export const stock = (value: Category): string => `stock-${categoryKey(value) || "other"}`;

const statusWords: Partial<Record<TicketStatus, string>> = {
  [TicketStatus.ON_SALE]: "For sale",
  [TicketStatus.HELD]: "On hold",
  [TicketStatus.SOLD]: "Sold",
  [TicketStatus.WITHDRAWN]: "Withdrawn",
};

export const ticketStatus = ({ status }: Ticket): string => statusWords[status] ?? "";

export const hasBegun = ({ eventTime }: Ticket, now: number): boolean =>
  eventTime !== undefined && millis(eventTime) <= now;

/** Whether anybody can buy it. */
export const isForSale = (ticket: Ticket, now: number): boolean =>
  ticket.status === TicketStatus.ON_SALE && !hasBegun(ticket, now);

/** The short number printed on a ticket: the end of its id, for telling two apart. */
export const serial = (id: string): string => id.slice(-6).toUpperCase();
