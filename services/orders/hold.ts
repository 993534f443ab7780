import type { CreateOrderRequest } from "@ticketing/proto/orders/v1/order_service";
import { runWithoutDeadline } from "#runtime/call-deadline.ts";
import type { DomainError } from "#runtime/errors.ts";
import { CallError, invalidField } from "#runtime/errors.ts";
import { OrderError } from "./errors.ts";
import { duplicateKeyIndex } from "#runtime/store/database.ts";
import { mustBeSameRequest, type IdempotencyKey } from "#runtime/store/request-id.ts";
import { touch, update } from "#runtime/store/aggregate.ts";
import { retryDelayMs, isRecentId } from "#runtime/store/ids.ts";
import { isBanned, type BanReplica } from "#marketplace/ban-replica.ts";
import { findExcess, holdSecondsFor, checkHoldLimits, type HoldLimits } from "./hold-limits.ts";
import {
  cancelBanned,
  cancel,
  expire,
  HOLDING,
  isOverdue,
  open,
  endBeforeEvent,
  type Order,
  type Orders,
} from "./order.ts";
import type { TicketFields, Tickets } from "./ticket-replica.ts";
import { DAY_MS } from "#runtime/values/time.ts";

export interface HoldDeps extends HoldLimits {
  tickets: Tickets;
  banReplica: BanReplica;
}

/** A ticket younger than this may not be replicated yet: its event may wait for the broker. */
const MAX_EVENT_DELAY_MS = DAY_MS;
const RETRY_AFTER_MS = 200;
/** No ticket changes this often while its events are on the way: a greater version was made up. */
const MAX_VERSIONS_AHEAD = 10_000;

const notReplicatedYet = (retryAfterMs = RETRY_AFTER_MS): DomainError =>
  new CallError("NOT_READY", "this ticket is very new; try again in a moment", { retryAfterMs });

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

/** The ticket that the buyer may hold; throws the reason where they may not. */
async function mustBeForSale(
  { tickets, now }: HoldDeps,
  buyerId: string,
  { ticketId, ticketVersion }: CreateOrderRequest,
): Promise<TicketFields> {
  const ticket = await tickets.findById(ticketId).lean<TicketFields>();
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
  if (ticket.sellerId === buyerId) {
    throw new OrderError("OWN_TICKET", "this is your own ticket");
  }
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
const revertHold = (orders: Orders, id: string, end: (order: Order) => boolean): Promise<unknown> =>
  update(orders, id, (order) => {
    if (!end(order)) touch(order);
    order.set({ requestId: undefined, requestHash: undefined });
  });

/** Orders inserted at the same time did not count each other, so the limits are checked again. */
async function cancelIfExcess(deps: HoldDeps, order: Order): Promise<Order> {
  const excess = await findExcess(deps, order);
  if (!excess) return order;
  await revertHold(deps.orders, order._id, cancel);
  throw excess;
}

/** A ban handled at the same time did not find this order, so bans are checked again. */
async function cancelIfBanned({ orders, banReplica }: HoldDeps, order: Order): Promise<Order> {
  const { _id, userId, sellerId } = order;
  const [isBuyerBanned, isSellerBanned] = await Promise.all([
    isBanned(banReplica, userId),
    isBanned(banReplica, sellerId),
  ]);
  if (!isBuyerBanned && !isSellerBanned) return order;
  await revertHold(orders, _id, cancelBanned);
  if (isBuyerBanned) throw new CallError("BANNED", "this account is banned");
  throw new OrderError("TICKET_WITHDRAWN", "this ticket is no longer for sale");
}

function heldError(holder: Order, buyerId: string): DomainError {
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

/** The order that the same request made before, if this is a retry. */
async function findReplay(
  orders: Orders,
  userId: string,
  key: Partial<IdempotencyKey>,
): Promise<Order | null> {
  if (!key.requestId) return null;
  const made = await orders.findOne({ userId, requestId: key.requestId });
  if (made) mustBeSameRequest(made, key);
  return made;
}

/** The order that holds the ticket now. A hold that has run out is expired first. */
async function findHolder({ orders, now }: HoldDeps, ticketId: string): Promise<Order | null> {
  const holder = await orders.findOne({ ticketId, status: { $in: HOLDING } });
  if (!holder || !isOverdue(holder, now())) return holder;
  await update(orders, holder._id, (order) => expire(order, now()));
  return orders.findOne({ ticketId, status: { $in: HOLDING } });
}

/** The next hold of a ticket, not saved yet. */
async function draftOrder(
  deps: HoldDeps,
  ticket: TicketFields,
  userId: string,
  key: Partial<IdempotencyKey>,
  network?: string,
): Promise<Order> {
  const { orders, now } = deps;
  const { _id: ticketId, sellerId, title, price, currency, category, venue } = ticket;
  const { eventTime, timeZone } = ticket;
  const holdSeconds = await holdSecondsFor(deps, userId, ticketId);
  const last = await orders
    .findOne({ ticketId }, { holdNumber: 1 })
    .sort({ holdNumber: -1 })
    .lean();
  const order = new orders({
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
    expiresAt: endBeforeEvent(now() + holdSeconds * 1000, eventTime),
    holdNumber: (last?.holdNumber ?? 0) + 1,
    ...(network === undefined ? {} : { network }),
    ...key,
  });
  open(order);
  return order;
}

/**
 * Holds a ticket for a buyer (R3, R4). The unique index decides which of several buyers wins; the code
 * around it finds out which rule refused a hold, and says so.
 */
export async function hold(
  deps: HoldDeps,
  userId: string,
  request: CreateOrderRequest,
  key: Partial<IdempotencyKey>,
  network?: string,
): Promise<Order> {
  const replay = await findReplay(deps.orders, userId, key);
  if (replay) return replay;
  const ticket = await mustBeForSale(deps, userId, request);
  for (let round = 0; round < 5; round += 1) {
    const holder = await findHolder(deps, ticket._id);
    if (holder) {
      // The same request, sent twice at once, may have made this hold.
      const twin = await findReplay(deps.orders, userId, key);
      if (twin) return twin;
      throw heldError(holder, userId);
    }
    await checkHoldLimits(deps, { userId, ticketId: ticket._id, network });
    const order = await draftOrder(deps, ticket, userId, key, network);
    try {
      const made = await order.save();
      // This runs past the call's deadline too: a refused buyer must not be left with a hold.
      return await runWithoutDeadline(async () =>
        cancelIfBanned(deps, await cancelIfExcess(deps, made)),
      );
    } catch (error) {
      // Another order was first: the next round finds it as the holder, or as our own retry.
      if (!duplicateKeyIndex(error)) throw error;
    }
  }
  throw new CallError("CHANGED_MEANWHILE", "many want this ticket; try again");
}
