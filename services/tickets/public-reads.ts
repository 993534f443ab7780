import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  GetTicketResponseSchema,
  ListTicketsRequestSchema,
  ListTicketsResponseSchema,
  type GetTicketResponse,
  type ListTicketsRequest,
  type ListTicketsResponse,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { LRUCache } from "lru-cache";
import { immutable } from "#runtime/rpc/unary/encoding.ts";
import { onSaved } from "#runtime/store/aggregate.ts";
import { pageSize } from "#runtime/store/paging.ts";
import type { Tickets } from "./ticket.ts";

/**
 * How long an anonymous caller may still see the state before a change that another instance has stored,
 * in milliseconds. A change of the same instance is seen at once.
 */
export const MAX_STALENESS_MS = 1_000;

const MAX_TICKETS = 2_000;
const MAX_TICKETS_ON_PAGES = 4_000;

type Clock = () => number;
type Load<R> = () => Promise<R>;

/** Responses that are shared by all anonymous callers. Each is loaded once, also by many callers at once. */
class SharedResponses<R extends object> {
  readonly #responses: LRUCache<string, Promise<R>>;

  /** `maxSize` limits the sum of the sizes that `get` is called with. */
  constructor(maxSize: number, now: Clock) {
    this.#responses = new LRUCache({
      maxSize,
      ttl: MAX_STALENESS_MS,
      ttlResolution: 0,
      perf: { now },
    });
  }

  get(key: string, size: number, load: Load<R>): Promise<R> {
    const known = this.#responses.get(key);
    // The caller that began to load it may have less time than this one.
    if (known) return known.catch(load);
    // The age counts from before the load, so it is the age of what is read.
    const loading = load();
    this.#responses.set(key, loading, { size });
    loading.catch(() => {
      if (this.#responses.peek(key) === loading) this.#responses.delete(key);
    });
    return loading;
  }

  /** A load that has begun before still answers its callers, but is not kept. */
  delete(key: string): void {
    this.#responses.delete(key);
  }

  clear(): void {
    this.#responses.clear();
  }
}

const keyOf = (request: ListTicketsRequest): string =>
  Buffer.from(toBinary(ListTicketsRequestSchema, request)).toString("latin1");

/**
 * Tickets and pages of tickets for anonymous callers, encoded once and discarded by each change. Signed-in
 * callers do not use it: they see their own changes at once, through whatever instance. Nothing is decided
 * by what it returns.
 */
export function publicReads(tickets: Tickets, now: Clock = () => performance.now()) {
  const pages = new SharedResponses<ListTicketsResponse>(MAX_TICKETS_ON_PAGES, now);
  const single = new SharedResponses<GetTicketResponse>(MAX_TICKETS, now);
  onSaved(tickets, (id) => {
    single.delete(id);
    pages.clear();
  });
  return {
    page: (
      request: ListTicketsRequest,
      load: Load<MessageInitShape<typeof ListTicketsResponseSchema>>,
    ): Promise<ListTicketsResponse> =>
      pages.get(keyOf(request), pageSize(request.pageSize), async () =>
        immutable(create(ListTicketsResponseSchema, await load())),
      ),
    ticket: (
      id: string,
      load: Load<MessageInitShape<typeof GetTicketResponseSchema>>,
    ): Promise<GetTicketResponse> =>
      single.get(id, 1, async () => immutable(create(GetTicketResponseSchema, await load()))),
  };
}
export type PublicReads = ReturnType<typeof publicReads>;
