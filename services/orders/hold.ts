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
import { excessOf, holdSecondsFor, mustBeFair, type FairRules } from "./fair-hold.ts";
import {
  ban,
  cancel,
  expire,
  HOLDING,
  isOverdue,
  open,
  withinEvent,
  type Order,
  type Orders,
} from "./order.ts";
import type { TicketFields, Tickets } from "./ticket.ts";

export interface HoldDeps extends FairRules {
  tickets: Tickets;
  banReplica: BanReplica;
}

/** A ticket this young may be one that we have not heard of yet: news may wait for a broker. */
const NEWS_TRAVELS_MS = 86_400_000;
const ASK_AGAIN_MS = 200;
/** No ticket changes so often while its news is on the way: whoever saw such a version made it up. */
const MOST_AHEAD = 10_000;

const notHeardYet = (retryAfterMs = ASK_AGAIN_MS): DomainError =>
  new CallError("NOT_READY", "this ticket is very new; try again in a moment", { retryAfterMs });

/** What a buyer sees of the ticket must be what they saw when they pressed *Buy* (R8, R15). */
function mustBeAsSeen(ticket: TicketFields, seen: number): void {
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

/** The ticket as the buyer saw it, or why it cannot be sold to them. */
async function mustBeForSale(
  { tickets, now }: HoldDeps,
  buyerId: string,
  { ticketId, ticketVersion }: CreateOrderRequest,
): Promise<TicketFields> {
  const ticket = await tickets.findById(ticketId).lean<TicketFields>();
  if (!ticket) {
    if (isRecentId(ticketId, now(), NEWS_TRAVELS_MS))
      throw notHeardYet(retryDelayMs(ticketId, now()));
    throw new OrderError("TICKET_NOT_FOUND", "there is no such ticket");
  }
  const seen = Number(ticketVersion);
  if (seen > ticket.version + MOST_AHEAD) {
    throw invalidField("ticket_version", "this ticket has not changed so often");
  }
  if (seen > ticket.version) throw notHeardYet();
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
  mustBeAsSeen(ticket, seen);
  return ticket;
}

/**
 * Ends an order that has to be refused although it is stored. It forgets its request: sent again, that
 * is a new one, and not answered with an order that nobody was told of.
 */
const takeBack = (orders: Orders, id: string, end: (order: Order) => boolean): Promise<unknown> =>
  update(orders, id, (order) => {
    if (!end(order)) touch(order);
    order.set({ requestId: undefined, requestHash: undefined });
  });

/** Orders made in the same moment did not count each other; now they are there to be counted. */
async function stillFair(deps: HoldDeps, order: Order): Promise<Order> {
  const excess = await excessOf(deps, order);
  if (!excess) return order;
  await takeBack(deps.orders, order._id, cancel);
  throw excess;
}

/** A ban that came in the same moment did not see this order; now it is there to be seen. */
async function unlessBanned({ orders, banReplica }: HoldDeps, order: Order): Promise<Order> {
  const { _id, userId, sellerId } = order;
  const [buyerIsOut, sellerIsOut] = await Promise.all([
    isBanned(banReplica, userId),
    isBanned(banReplica, sellerId),
  ]);
  if (!buyerIsOut && !sellerIsOut) return order;
  await takeBack(orders, _id, ban);
  if (buyerIsOut) throw new CallError("BANNED", "this account is banned");
  throw new OrderError("TICKET_WITHDRAWN", "this ticket is no longer for sale");
}

function refusal(holder: Order, buyerId: string): DomainError {
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

/** The order that this request made before, where it is a retry. */
async function findReplay(
  orders: Orders,
  userId: string,
  mark: Partial<IdempotencyKey>,
): Promise<Order | null> {
  if (!mark.requestId) return null;
  const made = await orders.findOne({ userId, requestId: mark.requestId });
  if (made) mustBeSameRequest(made, mark);
  return made;
}

/** Who holds the ticket now; a hold whose time is up is ended first. */
async function findHolder({ orders, now }: HoldDeps, ticketId: string): Promise<Order | null> {
  const holder = await orders.findOne({ ticketId, status: { $in: HOLDING } });
  if (!holder || !isOverdue(holder, now())) return holder;
  await update(orders, holder._id, (order) => expire(order, now()));
  return orders.findOne({ ticketId, status: { $in: HOLDING } });
}

/** The next hold of a ticket, not yet in the database. */
async function draft(
  deps: HoldDeps,
  ticket: TicketFields,
  userId: string,
  mark: Partial<IdempotencyKey>,
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
    expiresAt: withinEvent(now() + holdSeconds * 1000, eventTime),
    holdNumber: (last?.holdNumber ?? 0) + 1,
    ...(network === undefined ? {} : { network }),
    ...mark,
  });
  open(order);
  return order;
}

/**
 * Holds a ticket for a buyer (R3, R4). Nothing here decides who wins: the unique index does, and the
 * rest is finding out which rule refused and saying so.
 */
export async function hold(
  deps: HoldDeps,
  userId: string,
  request: CreateOrderRequest,
  mark: Partial<IdempotencyKey>,
  network?: string,
): Promise<Order> {
  const replay = await findReplay(deps.orders, userId, mark);
  if (replay) return replay;
  const ticket = await mustBeForSale(deps, userId, request);
  for (let round = 0; round < 5; round += 1) {
    const holder = await findHolder(deps, ticket._id);
    if (holder) {
      // The holder may be what our own request, sent twice at once, has made.
      const twin = await findReplay(deps.orders, userId, mark);
      if (twin) return twin;
      throw refusal(holder, userId);
    }
    await mustBeFair(deps, { userId, ticketId: ticket._id, network });
    const order = await draft(deps, ticket, userId, mark, network);
    try {
      const made = await order.save();
      // However late it is: whoever is refused now must not be left with a hold.
      return await runWithoutDeadline(async () => unlessBanned(deps, await stillFair(deps, made)));
    } catch (error) {
      // Somebody was quicker, and is the holder in the next round; or our own twin was.
      if (!duplicateKeyIndex(error)) throw error;
    }
  }
  throw new CallError("CHANGED_MEANWHILE", "many want this ticket; try again");
}
