import {
  TicketAvailability,
  TicketSort,
  type ListTicketsRequest,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { Category } from "@ticketing/proto/tickets/v1/ticket";
import type { QueryFilter } from "mongoose";
import { toMinor } from "#runtime/values/money.ts";
import {
  afterCursor,
  toPage,
  pageSize,
  readPageToken,
  type Cursor,
} from "#runtime/store/paging.ts";
import { isVisible, toSingleLine } from "#runtime/values/text.ts";
import { toProto, type CategoryWord, type TicketFields, type Tickets } from "../ticket.ts";

type Filter = QueryFilter<TicketFields>;

/** The field that a list is sorted by, and the direction; the id breaks ties. */
const sorts = {
  [TicketSort.UNSPECIFIED]: { field: "_id", direction: -1 },
  [TicketSort.NEWEST]: { field: "_id", direction: -1 },
  [TicketSort.PRICE_ASCENDING]: { field: "price", direction: 1 },
  [TicketSort.PRICE_DESCENDING]: { field: "price", direction: -1 },
  [TicketSort.EVENT_TIME]: { field: "eventOrder", direction: 1 },
} as const;

interface Sort {
  field: "_id" | "price" | "eventOrder";
  direction: 1 | -1;
}

const sortOf = (order: TicketSort): Sort =>
  (sorts as Record<number, Sort>)[order] ?? sorts[TicketSort.NEWEST];

/** The category as it is stored. */
export const categoryWord = (category: Category): CategoryWord | undefined =>
  (Object.keys(Category) as (keyof typeof Category)[]).find(
    (word): word is CategoryWord => word !== "UNSPECIFIED" && Category[word] === category,
  );

function available(request: ListTicketsRequest, callerId: string | undefined, now: number): Filter {
  switch (request.availability) {
    case TicketAvailability.HELD:
      return { status: "HELD" };
    case TicketAvailability.SOLD:
      return { status: "SOLD" };
    case TicketAvailability.ANY: {
      const own = request.sellerId !== "" && request.sellerId === callerId;
      return own ? {} : { status: { $ne: "WITHDRAWN" } };
    }
    default:
      // A ticket without a date sorts as one in the far future.
      return { status: "ON_SALE", eventOrder: { $gt: new Date(now) } };
  }
}

/** Every word must occur: MongoDB joins unquoted words with OR. */
const words = (query: string): Filter => {
  const terms = toSingleLine(query).replaceAll('"', " ").split(" ").filter(isVisible);
  return terms.length === 0 ? {} : { $text: { $search: terms.map((t) => `"${t}"`).join(" ") } };
};

function prices({ currencyCode, minPrice, maxPrice }: ListTicketsRequest): Filter {
  if (currencyCode === "") return {};
  const bounds = {
    ...(minPrice && { $gte: toMinor(minPrice, "min_price").amount }),
    ...(maxPrice && { $lte: toMinor(maxPrice, "max_price").amount }),
  };
  return { currency: currencyCode, ...(minPrice || maxPrice ? { price: bounds } : {}) };
}

/** Everything after the cursor. Stable while tickets are listed and sold. */
function after({ field, direction }: Sort, cursor: Cursor | undefined): Filter {
  if (!cursor) return {};
  if (field === "_id") return { _id: { [direction === 1 ? "$gt" : "$lt"]: cursor.id } };
  const key = field === "eventOrder" ? new Date(cursor.key) : cursor.key;
  return afterCursor(field, direction, key, cursor.id) as Filter;
}

function keyOf(ticket: TicketFields, { field }: Sort): number {
  if (field === "_id") return 0;
  return field === "price" ? ticket.price : ticket.eventOrder.getTime();
}

/** One page of the tickets that match a request. */
export async function search(
  { tickets, now }: { tickets: Tickets; now: () => number },
  request: ListTicketsRequest,
  callerId: string | undefined,
) {
  const category = categoryWord(request.category);
  const sort = sortOf(request.orderBy);
  const filter: Filter = {
    $and: [
      words(request.query),
      category ? { category } : {},
      prices(request),
      request.sellerId ? { userId: request.sellerId } : {},
    ],
  };
  const query = [filter, request.availability, sort];
  const cursor = readPageToken(query, request.pageToken);
  const size = pageSize(request.pageSize);
  const found = await tickets
    .find(
      { $and: [filter, available(request, callerId, now()), after(sort, cursor)] },
      { outbox: 0, code: 0 },
    )
    .sort({ [sort.field]: sort.direction, _id: sort.direction })
    .limit(size + 1)
    .lean<TicketFields[]>();
  const { page, nextPageToken } = toPage(query, size, found, (ticket) => keyOf(ticket, sort));
  return { tickets: page.map(toProto), nextPageToken };
}
