import { TicketSort, type ListTicketsRequest } from "@ticketing/proto/tickets/v1/ticket_service";
import { afterCursor, upToCursor, type Cursor } from "#runtime/store/paging.ts";
import { ticketIndexes, type TicketFields } from "../ticket.ts";
import type { Filter, IndexKey } from "./search-filters.ts";
import { queryTerms, termsOf } from "./search-terms.ts";

/** What the orders need of a ticket. */
export type Sortable = Pick<TicketFields, "_id" | "price" | "eventOrder" | "title">;

/** An order of a list that an index has. The id breaks ties. */
export interface Order {
  readonly field: "_id" | "price" | "eventOrder";
  readonly direction: 1 | -1;
  readonly index: IndexKey;
}

const newest: Order = { field: "_id", direction: -1, index: ticketIndexes.newest };
const orders: Readonly<Partial<Record<TicketSort, Order>>> = {
  [TicketSort.PRICE_ASCENDING]: { field: "price", direction: 1, index: ticketIndexes.price },
  [TicketSort.PRICE_DESCENDING]: { field: "price", direction: -1, index: ticketIndexes.price },
  [TicketSort.EVENT_TIME]: { field: "eventOrder", direction: 1, index: ticketIndexes.eventTime },
};

interface Amount {
  readonly units?: bigint;
  readonly seconds?: bigint;
  readonly nanos: number;
}

const same = (a?: Amount, b?: Amount): boolean =>
  a !== undefined && a.units === b?.units && a.seconds === b?.seconds && a.nanos === b?.nanos;

/**
 * The order of a list. The best matches are found among the newest, and a seller's newest have an index of
 * their own. If the limits leave one price or one time, the id alone is the order.
 */
export function orderOf(request: ListTicketsRequest): Order {
  const { orderBy, sellerId, minPrice, maxPrice, minEventTime, maxEventTime } = request;
  const order = orders[orderBy];
  if (!order) return sellerId === "" ? newest : { ...newest, index: ticketIndexes.seller };
  const isOne =
    order.field === "price" ? same(minPrice, maxPrice) : same(minEventTime, maxEventTime);
  return isOne ? { ...order, field: "_id" } : order;
}

/** The sort key that precedes the id in a cursor. */
export const keyOf = (ticket: Sortable, { field }: Order): number => {
  if (field === "_id") return 0;
  return field === "price" ? ticket.price : ticket.eventOrder.getTime();
};

/** A filter of `afterCursor` or `upToCursor` in an order; without a cursor, it excludes nothing. */
const inOrder =
  (bound: typeof afterCursor) =>
  ({ field, direction }: Order, cursor: Cursor | undefined): Filter => {
    if (!cursor) return {};
    const value = field === "eventOrder" ? new Date(cursor.key) : cursor.key;
    return bound(field, direction, value, cursor.id) as Filter;
  };

export const after = inOrder(afterCursor);
export const upTo = inOrder(upToCursor);

const compareIds = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Compares two positions of an order. */
export const comparing =
  (direction: 1 | -1) =>
  (a: Cursor, b: Cursor): number =>
    direction * (a.key - b.key || compareIds(a.id, b.id));

/** How well a title matches: each word that is in it counts, and more if it is a whole word of it. */
export function scoreOf(query: string): (ticket: Sortable) => number {
  const wanted = queryTerms(query);
  return ({ title }) => {
    const terms = termsOf(title);
    const score = (term: string): number => {
      if (terms.includes(term)) return 3;
      return terms.some((own) => own.startsWith(term)) ? 2 : 0;
    };
    const isFirst = wanted[0] !== undefined && (terms[0]?.startsWith(wanted[0]) ?? false);
    return wanted.reduce((sum, term) => sum + score(term), isFirst ? 1 : 0);
  };
}
