import { create } from "@bufbuild/protobuf";
import { currencies } from "@ticketing/proto/currencies";
import {
  ListTicketsRequestSchema,
  TicketSort,
  type ListTicketsRequest,
} from "@ticketing/proto/web/tickets/v1/ticket_service";
import { firstCharacters } from "#lib/format/form-text.ts";
import { defaultCurrency } from "#lib/format/money.ts";
import { categoryKey, categoryOf } from "./ticket.ts";

/** A search for tickets, by the parameters of the page's address. */
export interface TicketSearch {
  q: string;
  category: string;
  currency: string;
  sort: string;
}

const PAGE_SIZE = 24;
/** The contract's limit. */
const MAX_QUERY_LENGTH = 200;

export const sorts = [
  { key: "newest", label: "Newest", value: TicketSort.NEWEST },
  { key: "best", label: "Best match", value: TicketSort.RELEVANCE },
  { key: "soonest", label: "Soonest event", value: TicketSort.EVENT_TIME },
  { key: "cheapest", label: "Price: low to high", value: TicketSort.PRICE_ASCENDING },
  { key: "dearest", label: "Price: high to low", value: TicketSort.PRICE_DESCENDING },
] as const;

const sortOf = (key: string) => sorts.find((each) => each.key === key)?.value ?? TicketSort.NEWEST;
const priceSorts: readonly TicketSort[] = [TicketSort.PRICE_ASCENDING, TicketSort.PRICE_DESCENDING];

/** Reads the search of an address; invalid parameters are ignored. */
export function readTicketSearch(parameters: URLSearchParams): TicketSearch {
  const text = (name: string) => parameters.get(name)?.trim() ?? "";
  const sort = sorts.find(({ key }) => key === text("sort"))?.key ?? "newest";
  const chosen = currencies.find((each) => each === text("currency"));
  // Prices in different currencies have no order: a list sorted by price is in one currency.
  const currency = chosen ?? (priceSorts.includes(sortOf(sort)) ? defaultCurrency : "");
  const category = categoryKey(categoryOf(text("category")));
  return { q: firstCharacters(text("q"), MAX_QUERY_LENGTH), category, currency, sort };
}

/** The address of a page of this search. */
export function ticketSearchPath(search: TicketSearch, page = ""): string {
  const parameters = new URLSearchParams(
    Object.entries({ ...search, page }).filter(([, value]) => value && value !== "newest"),
  );
  return parameters.size ? `/?${parameters}` : "/";
}

/** The backend's request for a page of this search. */
export function listTicketsRequest(search: TicketSearch, pageToken: string): ListTicketsRequest {
  return create(ListTicketsRequestSchema, {
    pageSize: PAGE_SIZE,
    pageToken,
    query: search.q,
    category: categoryOf(search.category),
    currencyCode: search.currency,
    orderBy: sortOf(search.sort),
  });
}
