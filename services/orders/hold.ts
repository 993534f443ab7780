import { runWithoutDeadline } from "#runtime/call-deadline.ts";
import type { DomainError } from "#runtime/errors.ts";
import { CallError, invalidField } from "#runtime/errors.ts";
import { OrderError } from "./errors.ts";
import { duplicateKeyIndex } from "#runtime/store/database.ts";
import { touch } from "#runtime/store/aggregate.ts";
import { insertAggregate, newAggregate, updateAggregate } from "#runtime/store/plain-aggregate.ts";
import { retryDelayMs, isRecentId } from "#runtime/store/ids.ts";
import {
  checkHoldLimits,
  findExcess,
  holdSecondsFor,
  readHoldFacts,
  recountHolds,
  type HoldLimits,
} from "./hold-limits.ts";
import type { HoldRace, RacingRequest } from "./hold-race.ts";
import {
  cancelBanned,
  cancel,
  expire,
  isOverdue,
  open,
  endBeforeEvent,
  type OrderFields,
  type Orders,
} from "./order.ts";
import type { TicketFields } from "./ticket-replica.ts";
import { DAY_MS } from "#runtime/values/time.ts";

export interface HoldDeps extends HoldLimits {
  race: HoldRace;
}

/** A buyer who asks to hold a ticket. */
export interface HoldRequest extends RacingRequest {
  /** The version of the ticket that the buyer saw; 0 for any. */
  ticketVersion: bigint;
  /** The client network that the request comes from, as `networkKey` has it. */
  network?: string | undefined;
}

/** How often a request starts again because the ticket has changed hands meanwhile. */
const MAX_ROUNDS = 6;
/** A ticket younger than this may not be replicated yet: its event may wait for the broker. */
const MAX_EVENT_DELAY_MS = DAY_MS;
const RETRY_AFTER_MS = 200;
/** No ticket changes this often while its events are on the way: a greater version was made up. */
const MAX_VERSIONS_AHEAD = 10_000;

const notReplicatedYet = (retryAfterMs = RETRY_AFTER_MS): DomainError =>
  new CallError("NOT_READY", "this ticket is very new; try again in a moment", { retryAfterMs });

const ownTicket = (): DomainError => new OrderError("OWN_TICKET", "this is your own ticket");

/** The ticket must not have changed since the buyer saw it and pressed *Buy* (R8, R15). */
function mustBeUnchangedSince(ticket: TicketFields, seen: number): void {
  const { version, priceVersion, detailsVersion } = ticket;
  if (seen === 0) return;
  const metadata = { version: String(version) };
  if (seen < detailsVersion) {
    throw new OrderError("TICKET_CHANGED", "the ticket has changed; look at it again", {
      metadata,
    });
  }
  if (seen < priceVersion) {
    throw new OrderError("PRICE_CHANGED", "the price has changed; look at it again", { metadata });
  }
}

/** The ticket, if the buyer may hold it; throws the reason if they may not. */
function mustBeForSale(
  { now }: HoldDeps,
  ticket: TicketFields | undefined,
  { userId, ticketId, ticketVersion }: HoldRequest,
): TicketFields {
  if (!ticket) {
    if (isRecentId(ticketId, now(), MAX_EVENT_DELAY_MS))
      throw notReplicatedYet(retryDelayMs(ticketId, now()));
    throw new OrderError("TICKET_NOT_FOUND", "there is no such ticket");
  }
  const seen = Number(ticketVersion);
  if (seen > ticket.version + MAX_VERSIONS_AHEAD) {
    throw invalidField("ticket_version", "this ticket has not changed so often");
  }
  if (seen > ticket.version) throw notReplicatedYet();
  if (ticket.sellerId === userId) throw ownTicket();
  if (ticket.withdrawn) {
    throw new OrderError("TICKET_WITHDRAWN", "this ticket is no longer for sale");
  }
  if (ticket.sold) throw new OrderError("TICKET_SOLD", "this ticket is sold");
  if (ticket.eventTime && ticket.eventTime.getTime() <= now()) {
    throw new OrderError("EVENT_BEGUN", "the event has begun; the ticket can no longer be bought");
  }
  mustBeUnchangedSince(ticket, seen);
  return ticket;
}

/**
 * Ends an order that must be refused although it is stored. Its request id is removed, so that a retry
 * counts as a new request and is not answered with this order.
 */
const revertHold = (
  orders: Orders,
  id: string,
  end: (order: OrderFields) => boolean,
): Promise<unknown> =>
  updateAggregate(orders, id, (order) => {
    if (!end(order)) touch(order);
    delete order.requestId;
    delete order.requestHash;
  });

/**
 * Checks a stored order once more: orders stored at the same time did not count each other, and a ban
 * handled at the same time did not find this order.
 */
async function cancelIfRefused(deps: HoldDeps, order: OrderFields): Promise<OrderFields> {
  const { orders } = deps;
  const { _id, userId } = order;
  const recount = await recountHolds(deps, order);
  const excess = await findExcess(deps, order, recount);
  if (excess) {
    await revertHold(orders, _id, cancel);
    throw excess;
  }
  const { bannedIds } = recount;
  if (bannedIds.length === 0) return order;
  await revertHold(orders, _id, cancelBanned);
  if (bannedIds.includes(userId)) throw new CallError("BANNED", "this account is banned");
  throw new OrderError("TICKET_WITHDRAWN", "this ticket is no longer for sale");
}

function heldError(holder: OrderFields, buyerId: string): DomainError {
  if (holder.sellerId === buyerId) return ownTicket();
  if (holder.status === "COMPLETED") return new OrderError("TICKET_SOLD", "this ticket is sold");
  const until = holder.expiresAt.toISOString();
  if (holder.userId === buyerId) {
    const metadata = { order_id: holder._id, until };
    return new OrderError("ALREADY_HOLDING", "you are holding this ticket already", { metadata });
  }
  const metadata = { until };
  return new OrderError("TICKET_HELD", `somebody else holds this ticket until ${until}`, {
    metadata,
  });
}

/** The next hold of a ticket, not stored yet. */
function draftOrder(
  { orders, now }: HoldDeps,
  { userId, ticketId, network, key }: HoldRequest,
  ticket: TicketFields,
  { holdSeconds, holdNumber }: { holdSeconds: number; holdNumber: number },
): OrderFields {
  const { sellerId, title, price, currency, category, venue, eventTime, timeZone } = ticket;
  const order = newAggregate(orders, {
    userId,
    ticketId,
    sellerId,
    title,
    price,
    currency,
    category,
    venue,
    ...(eventTime ? { eventTime } : {}),
    ...(timeZone ? { timeZone } : {}),
    status: "CREATED",
    expiresAt: endBeforeEvent(now() + holdSeconds * 1000, eventTime),
    holdNumber,
    network,
    ...key,
  });
  open(order);
  return order;
}

/** Stores an order for a ticket that nobody holds; undefined if another order was first. */
async function store(deps: HoldDeps, request: HoldRequest): Promise<OrderFields | undefined> {
  const facts = await readHoldFacts(deps, request);
  const ticket = mustBeForSale(deps, facts.ticket, request);
  await checkHoldLimits(deps, request, facts);
  const order = draftOrder(deps, request, ticket, {
    holdSeconds: holdSecondsFor(deps, request.ticketId, facts),
    holdNumber: facts.lastHoldNumber + 1,
  });
  try {
    await insertAggregate(deps.orders, order);
    return order;
  } catch (error) {
    if (!duplicateKeyIndex(error)) throw error;
    return undefined;
  }
}

/**
 * Holds a ticket for a buyer (R3, R4). The unique index decides which of several buyers wins; the code
 * around it finds out which rule refused a hold, and says so.
 */
export async function hold(deps: HoldDeps, request: HoldRequest): Promise<OrderFields> {
  const { orders, race, now } = deps;
  const { userId, ticketId } = request;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const { replay, holder } = await race.find(request);
    if (replay) return replay;
    if (holder && !isOverdue(holder, now())) throw heldError(holder, userId);
    if (holder) {
      await updateAggregate(orders, holder._id, (order) => expire(order, now()));
      continue;
    }
    const rival = round === 0 && race.attemptFor(ticketId);
    if (rival) {
      await rival;
      continue;
    }
    const order = await race.attempt(ticketId, () => store(deps, request));
    // This runs past the call's deadline too: a refused buyer must not be left with a hold.
    if (order) return runWithoutDeadline(() => cancelIfRefused(deps, order));
  }
  throw new CallError("CHANGED_MEANWHILE", "many want this ticket; try again");
}
