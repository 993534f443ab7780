import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Category } from "@ticketing/proto/tickets/v1/ticket";
import {
  ListTicketsRequestSchema,
  TicketAvailability,
  TicketSort,
  type ListTicketsRequest,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { DAY_MS } from "#runtime/values/time.ts";
import { wordOf } from "./market.ts";

type Filter = MessageInitShape<typeof ListTicketsRequestSchema>;

const PAGE_SIZE = 24;
const euros = (units: number) => ({ currencyCode: "EUR", units: BigInt(units) });
const inDays = (days: number) => timestampFromMs(Date.now() + days * DAY_MS);

/** What people look for. The last ones are the worst cases: much is looked at, and little is found. */
const filters: readonly (readonly [string, Filter])[] = [
  ["everything", {}],
  ["a category", { category: Category.CONCERT }],
  ["a category without tickets", { category: Category.THEATRE }],
  ["a frequent word", { query: "festival" }],
  ["two frequent words", { query: "berlin festival" }],
  ["the beginning of a word", { query: "fest" }],
  ["a single letter", { query: "e" }],
  ["a rare word", { query: wordOf(39_000) }],
  ["a word of no ticket", { query: "zzzzzz" }],
  ["a venue", { venue: "hamb" }],
  ["a range of prices", { currencyCode: "EUR", minPrice: euros(10), maxPrice: euros(20) }],
  ["a day", { minEventTime: inDays(30), maxEventTime: inDays(31) }],
  ["a word, sold or not", { query: "festival", availability: TicketAvailability.ANY }],
  ["a rather rare word", { query: wordOf(20) }],
  ["two words that exclude each other", { query: "berlin hamburg" }],
];

const sorts = {
  newest: TicketSort.NEWEST,
  price: TicketSort.PRICE_ASCENDING,
  "event time": TicketSort.EVENT_TIME,
  relevance: TicketSort.RELEVANCE,
} as const;

export interface Kind {
  readonly title: string;
  readonly requests: readonly ListTicketsRequest[];
}

/** Each filter, in every order. */
export const kinds: readonly Kind[] = filters.map(([title, filter]) => ({
  title,
  requests: Object.values(sorts).map((orderBy) =>
    create(ListTicketsRequestSchema, {
      ...(orderBy === TicketSort.PRICE_ASCENDING && { currencyCode: "EUR" }),
      ...(filter as object),
      orderBy,
      pageSize: PAGE_SIZE,
    }),
  ),
}));
