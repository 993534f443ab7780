import type { Cursor } from "#runtime/store/paging.ts";
import type { TicketFields, Tickets } from "../ticket.ts";
import type { Filter, Selector } from "./search-filters.ts";
import { after, comparing, keyOf, upTo, type Order, type Sortable } from "./search-order.ts";

// How a page is found in bounded time, however large the market is. If any condition has few matches, all
// of them are read and sorted here. Otherwise matches are frequent in any order, and walking along the
// order's index soon fills a page. Where conditions exclude each other the walk finds little: it ends after
// some time, and the page token continues it.

/** A list in one order, without its position. */
export interface Search {
  readonly tickets: Tickets;
  readonly status: Filter;
  /** Only events that have not begun, or all. No index but that of event times has it. */
  readonly begun: Filter;
  readonly selectors: readonly Selector[];
  readonly order: Order;
}

export interface Position {
  readonly cursor: Cursor | undefined;
  readonly size: number;
}

/** A page, and where the next one begins. It may have fewer tickets than asked for, even none. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: Cursor | undefined;
}

/** A condition with at most this many tickets has few. */
const FEW = 2_000;
/** How many tickets of an order are looked at in one read. */
const WINDOW = 1_000;
/** No read of a walk begins later than this after the first one. */
const WALK_MS = 25;
/** A read that takes longer than this fails, so that it cannot hold up others. */
const READ_LIMIT_MS = 2_000;

/** How many of many matches are ranked. */
const RANKED = 300;

const SORTABLE = { price: 1, eventOrder: 1, title: 1 } as const;
const READABLE = { outbox: 0, code: 0 } as const;

const filterOf = ({ status, begun, selectors }: Search, ...more: Filter[]): Filter => ({
  $and: [status, begun, ...selectors.map(({ filter }) => filter), ...more],
});

const hasTimes = ({ index }: Order): boolean => "eventOrder" in index;

/** The conditions that the index of the order does not have. */
const residual = ({ selectors, order }: Search): readonly Selector[] =>
  selectors.filter(({ index }) => index !== order.index);

/** All matches, if any condition has only a few. */
export async function findFew(search: Search): Promise<Sortable[] | undefined> {
  const { tickets, status, begun, selectors } = search;
  if (residual(search).length === 0) return undefined;
  const counted = await Promise.all(
    selectors.map(async (selector) => {
      const { filter, index } = selector;
      // The count must not read tickets, so it has a condition only if the index has it too.
      const where = "status" in index ? { $and: [status, filter] } : filter;
      const count = await tickets.countDocuments(where, {
        limit: FEW + 1,
        hint: index,
        maxTimeMS: READ_LIMIT_MS,
      });
      return { selector, count };
    }),
  );
  const rarest = counted.reduce((a, b) => (b.count < a.count ? b : a));
  if (rarest.count > FEW) return undefined;
  const others = selectors.filter((each) => each !== rarest.selector);
  const conditions = [rarest.selector.filter, ...others.map(({ unindexed }) => unindexed)];
  return tickets
    .find({ $and: [status, begun, ...conditions] }, SORTABLE)
    .hint(rarest.selector.index)
    .maxTimeMS(READ_LIMIT_MS)
    .lean<Sortable[]>();
}

/** The page of sorted matches after a cursor, read in full. */
export async function pageOf(
  tickets: Tickets,
  found: readonly Sortable[],
  { cursor, size }: Position,
  direction: 1 | -1,
  keyOfItem: (item: Sortable) => number,
): Promise<Page<TicketFields>> {
  const compare = comparing(direction);
  const positions = found
    .map((item) => ({ key: keyOfItem(item), id: item._id }))
    .filter((position) => !cursor || compare(position, cursor) > 0)
    .toSorted(compare);
  const page = positions.slice(0, size);
  const where = { _id: { $in: page.map(({ id }) => id) } };
  const items =
    page.length === 0
      ? []
      : await tickets.find(where, READABLE).maxTimeMS(READ_LIMIT_MS).lean<TicketFields[]>();
  const byId = new Map(items.map((item) => [item._id, item]));
  return {
    items: page.flatMap(({ id }) => byId.get(id) ?? []),
    next: positions.length > size ? page.at(-1) : undefined,
  };
}

const sortOf = ({ field, direction }: Order) => ({ [field]: direction, _id: direction }) as const;

/** Reads along the order's index, between two positions. */
function read<T>(search: Search, projection: object, limit: number, ...between: Filter[]) {
  const { tickets, order } = search;
  return tickets
    .find(filterOf(search, ...between), projection)
    .sort(sortOf(order))
    .hint(order.index)
    .limit(limit)
    .maxTimeMS(READ_LIMIT_MS)
    .lean<T[]>();
}

/**
 * The end of the next window of an order, or undefined if the order ends before. The index alone has all of
 * it, so no ticket is read.
 */
async function windowEnd(search: Search, cursor: Cursor | undefined): Promise<Cursor | undefined> {
  const { tickets, status, begun, selectors, order } = search;
  const own = selectors.filter(({ index }) => index === order.index);
  const range = own.map(({ filter }) => filter);
  const [end] = await tickets
    .find(
      { $and: [status, ...range, ...(hasTimes(order) ? [begun] : []), after(order, cursor)] },
      { _id: 1, ...(order.field !== "_id" && { [order.field]: 1 }) },
    )
    .sort(sortOf(order))
    .hint(order.index)
    .skip(WINDOW - 1)
    .limit(1)
    .maxTimeMS(READ_LIMIT_MS)
    .lean<Sortable[]>();
  return end && { key: keyOf(end, order), id: end._id };
}

/** Walks along the index of the order until a page is full, the order ends or time is up. */
export async function walk<T extends Sortable>(
  search: Search,
  { cursor, size }: Position,
  projection: object = READABLE,
): Promise<Page<T>> {
  const { order } = search;
  const isDense = residual(search).length === 0;
  const deadline = performance.now() + WALK_MS;
  const items: T[] = [];
  let from = cursor;
  for (;;) {
    const end = isDense ? undefined : await windowEnd(search, from);
    const limit = size + 1 - items.length;
    items.push(...(await read<T>(search, projection, limit, after(order, from), upTo(order, end))));
    if (items.length > size) {
      const last = items[size - 1] as T;
      return { items: items.slice(0, size), next: { key: keyOf(last, order), id: last._id } };
    }
    if (!end) return { items, next: undefined };
    if (performance.now() > deadline) return { items, next: end };
    from = end;
  }
}

/** The newest matches, as many as can be ranked. */
export const findNewest = async (search: Search): Promise<readonly Sortable[]> =>
  (await walk<Sortable>(search, { cursor: undefined, size: RANKED }, SORTABLE)).items;
