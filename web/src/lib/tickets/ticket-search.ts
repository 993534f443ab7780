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

/** What a visitor looks for, by the names that stand in the address. */
export interface Filters {
  q: string;
  category: string;
  currency: string;
  sort: string;
}

export const sorts = [
  { key: "newest", label: "Newest first", value: TicketSort.NEWEST },
  { key: "soonest", label: "Soonest event first", value: TicketSort.EVENT_TIME },
  { key: "cheapest", label: "Cheapest first", value: TicketSort.PRICE_ASCENDING },
  { key: "dearest", label: "Dearest first", value: TicketSort.PRICE_DESCENDING },
] as const;

const sortOf = (key: string) => sorts.find((each) => each.key === key)?.value ?? TicketSort.NEWEST;
const byPrice: readonly TicketSort[] = [TicketSort.PRICE_ASCENDING, TicketSort.PRICE_DESCENDING];

/** Reads an address; what makes no sense in it is left out. */
export function readFilters(search: URLSearchParams): Filters {
  const text = (name: string) => search.get(name)?.trim() ?? "";
  const sort = sorts.find(({ key }) => key === text("sort"))?.key ?? "newest";
  const chosen = currencies.find((each) => each === text("currency"));
  // 20 euros and 2000 yen have no order: sorting by price means in one currency.
  const currency = chosen ?? (byPrice.includes(sortOf(sort)) ? defaultCurrency : "");
  const category = categoryKey(categoryOf(text("category")));
  return { q: firstCharacters(text("q"), 200), category, currency, sort };
}

/** The address of a page of this list. */
export function browsePath(filters: Filters, page = ""): string {
  const search = new URLSearchParams(
    Object.entries({ ...filters, page }).filter(([, value]) => value && value !== "newest"),
  );
  return search.size ? `/?${search}` : "/";
}

/** The same list asked of the backend. */
export function browseRequest(filters: Filters, pageToken: string): ListTicketsRequest {
  return create(ListTicketsRequestSchema, {
    pageSize: 24,
    pageToken,
    query: filters.q,
    category: categoryOf(filters.category),
    currencyCode: filters.currency,
    orderBy: sortOf(filters.sort),
  });
}
