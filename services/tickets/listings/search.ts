import { create, toBinary } from "@bufbuild/protobuf";
import {
  ListTicketsRequestSchema,
  TicketAvailability,
  TicketSort,
  type ListTicketsRequest,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { Category } from "@ticketing/proto/tickets/v1/ticket";
import { pageSize, pageToken, readPageToken } from "#runtime/store/paging.ts";
import { toProto, type CategoryWord, type TicketFields, type Tickets } from "../ticket.ts";
import { selectorsOf, type Filter } from "./search-filters.ts";
import { keyOf, orderOf, scoreOf } from "./search-order.ts";
import { queryTerms } from "./search-terms.ts";
import {
  findFew,
  findNewest,
  pageOf,
  walk,
  type Page,
  type Position,
  type Search,
} from "./search-plan.ts";

/** The category as it is stored. */
export const categoryWord = (category: Category): CategoryWord | undefined =>
  (Object.keys(Category) as (keyof typeof Category)[]).find(
    (word): word is CategoryWord => word !== "UNSPECIFIED" && Category[word] === category,
  );

type Statuses = readonly TicketFields["status"][];

function statusesOf(request: ListTicketsRequest, callerId: string | undefined): Statuses {
  switch (request.availability) {
    case TicketAvailability.HELD:
      return ["HELD"];
    case TicketAvailability.SOLD:
      return ["SOLD"];
    case TicketAvailability.ANY: {
      const isOwn = request.sellerId !== "" && request.sellerId === callerId;
      return isOwn ? ["ON_SALE", "HELD", "SOLD", "WITHDRAWN"] : ["ON_SALE", "HELD", "SOLD"];
    }
    default:
      return ["ON_SALE"];
  }
}

/** A ticket that is on sale can be bought until its event begins. One without a date has a far one. */
function availableAt(now: number, statuses: Statuses): Pick<Search, "status" | "begun"> {
  const status = { status: { $in: statuses } } as Filter;
  const isForSale = statuses.length === 1 && statuses[0] === "ON_SALE";
  return { status, begun: isForSale ? { eventOrder: { $gt: new Date(now) } } : {} };
}

/** What makes a list another one. A page token is valid for one list. */
const identityOf = (request: ListTicketsRequest): string => {
  const list = create(ListTicketsRequestSchema, { ...request, pageSize: 0, pageToken: "" });
  return Buffer.from(toBinary(ListTicketsRequestSchema, list)).toString("base64");
};

async function find(
  search: Search,
  { orderBy, query }: ListTicketsRequest,
  position: Position,
): Promise<Page<TicketFields>> {
  const { tickets, order } = search;
  const few = await findFew(search);
  if (orderBy === TicketSort.RELEVANCE && queryTerms(query).length > 0) {
    const found = few ?? (await findNewest(search));
    return pageOf(tickets, found, position, -1, scoreOf(query));
  }
  if (!few) return walk<TicketFields>(search, position);
  return pageOf(tickets, few, position, order.direction, (item) => keyOf(item, order));
}

/** One page of the tickets that match a request (R18, decision 38). */
export async function search(
  { tickets, now }: { tickets: Tickets; now: () => number },
  request: ListTicketsRequest,
  callerId: string | undefined,
) {
  const list = identityOf(request);
  const position = {
    cursor: readPageToken(list, request.pageToken),
    size: pageSize(request.pageSize),
  };
  const { items, next } = await find(
    {
      tickets,
      ...availableAt(now(), statusesOf(request, callerId)),
      selectors: selectorsOf(request, categoryWord(request.category)),
      order: orderOf(request),
    },
    request,
    position,
  );
  return { tickets: items.map(toProto), nextPageToken: next ? pageToken(list, next) : "" };
}
