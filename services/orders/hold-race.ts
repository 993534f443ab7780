import { batchedReads, READ_LIMIT_MS } from "#runtime/store/batched-reads.ts";
import { mustBeSameRequest, type IdempotencyKey } from "#runtime/store/request-id.ts";
import { HOLDING, type OrderFields, type Orders } from "./order.ts";

/** A buyer who asks for a ticket, with the idempotency key of the request, if it has one. */
export interface RacingRequest {
  userId: string;
  ticketId: string;
  key: Partial<IdempotencyKey>;
}

/** What is stored about a request to hold a ticket. */
export interface HoldState {
  /** The order that the same request made before, if this is a retry. */
  replay: OrderFields | undefined;
  /** The order that holds the ticket. Its hold may have run out. */
  holder: OrderFields | undefined;
}

/** What one process does so that a crowd of buyers of one ticket is answered quickly. */
export interface HoldRace {
  /** Reads who holds the ticket, and what the same request made before. */
  find(request: RacingRequest): Promise<HoldState>;
  /** Runs an attempt to store an order for the ticket. */
  attempt<T>(ticketId: string, make: () => Promise<T>): Promise<T>;
  /**
   * Settles when an attempt for the ticket has ended, however it ended; undefined if none is in progress.
   * To wait for it saves work: most attempts succeed, and then all others are refused.
   */
  attemptFor(ticketId: string): Promise<unknown> | undefined;
}

const isHolding = ({ status }: OrderFields): boolean => HOLDING.includes(status);

/** The orders that hold these tickets, and those that the same requests made: one read for all. */
function findStates(orders: Orders, requests: readonly RacingRequest[]): Promise<OrderFields[]> {
  const ticketIds = [...new Set(requests.map(({ ticketId }) => ticketId))];
  const retriable = requests.filter(({ key }) => key.requestId !== undefined);
  const held = { ticketId: { $in: ticketIds }, status: { $in: HOLDING } };
  const made = {
    userId: { $in: retriable.map(({ userId }) => userId) },
    requestId: { $in: retriable.flatMap(({ key }) => key.requestId ?? []) },
  };
  const filter = retriable.length === 0 ? held : { $or: [held, made] };
  return orders.find(filter, { outbox: 0 }).maxTimeMS(READ_LIMIT_MS).lean<OrderFields[]>().exec();
}

function findReplay(
  found: readonly OrderFields[],
  { userId, key }: RacingRequest,
): OrderFields | undefined {
  if (key.requestId === undefined) return undefined;
  const replay = found.find((made) => made.userId === userId && made.requestId === key.requestId);
  if (replay) mustBeSameRequest(replay, key);
  return replay;
}

/** The race for tickets in this process. The unique index decides between processes. */
export function holdRace(orders: Orders): HoldRace {
  const read = batchedReads((requests: readonly RacingRequest[]) => findStates(orders, requests));
  const attempts = new Map<string, Promise<unknown>>();

  return {
    async find(request) {
      const found = await read(request);
      const replay = findReplay(found, request);
      const holder = found.find((order) => order.ticketId === request.ticketId && isHolding(order));
      return { replay, holder };
    },
    attempt(ticketId, make) {
      const made = make();
      const ended = made
        .catch(() => undefined)
        .finally(() => {
          if (attempts.get(ticketId) === ended) attempts.delete(ticketId);
        });
      attempts.set(ticketId, ended);
      return made;
    },
    attemptFor: (ticketId) => attempts.get(ticketId),
  };
}
