import type { ListTicketsRequest } from "@ticketing/proto/tickets/v1/ticket_service";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { QueryFilter } from "mongoose";
import { toMinor } from "#runtime/values/money.ts";
import { NO_DATE, ticketIndexes, type TicketFields } from "../ticket.ts";
import { atVenue, inCategory, queryTerms } from "./search-terms.ts";

export type Filter = QueryFilter<TicketFields>;
export type IndexKey = Readonly<Record<string, 1 | -1>>;

/** One condition of a list, and the index that finds what meets it. */
export interface Selector {
  readonly filter: Filter;
  readonly index: IndexKey;
  /** The same condition in a form that no index is used for: two terms would compete for theirs. */
  readonly unindexed: Filter;
}

const selector = (filter: Filter, index: IndexKey, unindexed = filter): Selector => ({
  filter,
  index,
  unindexed,
});

/** A term consists of letters and digits, so it is safe in an expression. */
function beginsWith(term: string): Selector {
  const begins = { $regexMatch: { input: "$$this", regex: `^${term}` } };
  return selector({ terms: new RegExp(`^${term}`, "u") }, ticketIndexes.terms, {
    $expr: { $anyElementTrue: { $map: { input: "$terms", in: begins } } },
  });
}

const hasTerm = (term: string): Selector =>
  selector({ terms: term }, ticketIndexes.terms, { $expr: { $in: [term, "$terms"] } });

function prices({ currencyCode, minPrice, maxPrice }: ListTicketsRequest): Selector[] {
  if (currencyCode === "") return [];
  const bounds = {
    ...(minPrice && { $gte: toMinor(minPrice, "min_price").amount }),
    ...(maxPrice && { $lte: toMinor(maxPrice, "max_price").amount }),
  };
  const filter = { currency: currencyCode, ...(minPrice || maxPrice ? { price: bounds } : {}) };
  return [selector(filter, ticketIndexes.price)];
}

/** Tickets without a date match no limit. */
function dates({ minEventTime, maxEventTime }: ListTicketsRequest): Selector[] {
  if (!minEventTime && !maxEventTime) return [];
  const bounds = {
    $lt: NO_DATE,
    ...(minEventTime && { $gte: timestampDate(minEventTime) }),
    ...(maxEventTime && { $lte: timestampDate(maxEventTime) }),
  };
  const filter = { eventOrder: bounds };
  return [selector(filter, ticketIndexes.eventTime)];
}

/** All conditions of a request but its availability. */
export function selectorsOf(
  request: ListTicketsRequest,
  category: string | undefined,
): readonly Selector[] {
  const { query, venue, sellerId } = request;
  return [
    ...queryTerms(query).map(beginsWith),
    ...queryTerms(venue).map((term) => beginsWith(atVenue(term))),
    ...(category ? [hasTerm(inCategory(category))] : []),
    ...prices(request),
    ...dates(request),
    ...(sellerId ? [selector({ userId: sellerId }, ticketIndexes.seller)] : []),
  ];
}
