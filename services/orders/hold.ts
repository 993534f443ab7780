import type { CreateOrderRequest } from "@ticketing/proto/orders/v1/order_service";
import { DomainError } from "#runtime/errors.ts";
import { duplicateOf } from "#runtime/mongo.ts";
import { mustBeSameRequest, type RequestMark } from "#runtime/request-id.ts";
import { touch, update } from "#runtime/aggregate.ts";
import { bornAt } from "#runtime/ids.ts";
import { isOut, type Standings } from "#runtime/standing.ts";
import {
  ACTIVE,
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

export interface HoldDeps {
  orders: Orders;
  tickets: Tickets;
  standings: Standings;
  holdSeconds: number;
  maxOpenOrders: number;
  maxHoldsPerHour: number;
  now: () => number;
}

/** A ticket this young may be one that we have not heard of yet: news may wait for a broker. */
const NEWS_TRAVELS_MS = 86_400_000;
const ASK_AGAIN_MS = 200;
const HOUR_MS = 3_600_000;

const notHeardYet = (): DomainError =>
  new DomainError("NOT_READY", "this ticket is very new; try again in a moment", {
    retryAfterMs: ASK_AGAIN_MS,
  });

/** What a buyer sees of the ticket must be what they saw when they pressed *Buy* (R8, R15). */
function mustBeAsSeen(ticket: TicketFields, seen: number): void {
  const { version, priceVersion, detailsVersion } = ticket;
  if (seen === 0) return;
  const metadata = { version: String(version) };
  if (seen < detailsVersion) {
    throw new DomainError("TICKET_CHANGED", "the ticket has changed; look at it again", {
      metadata,
    });
  }
  if (seen < priceVersion) {
    throw new DomainError("PRICE_CHANGED", "the price has changed; look at it again", { metadata });
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
    if (now() - bornAt(ticketId) < NEWS_TRAVELS_MS) throw notHeardYet();
    throw new DomainError("TICKET_NOT_FOUND", "there is no such ticket");
  }
  const seen = Number(ticketVersion);
  if (seen > ticket.version) throw notHeardYet();
  if (ticket.sellerId === buyerId) {
    throw new DomainError("OWN_TICKET", "this is your own ticket");
  }
  if (ticket.withdrawn) {
    throw new DomainError("TICKET_WITHDRAWN", "this ticket is no longer for sale");
  }
  if (ticket.sold) throw new DomainError("TICKET_SOLD", "this ticket is sold");
  if (ticket.eventTime && ticket.eventTime.getTime() <= now()) {
    throw new DomainError("EVENT_BEGUN", "the event has begun; the ticket can no longer be bought");
  }
  mustBeAsSeen(ticket, seen);
  return ticket;
}

async function mustBeWithinLimits(deps: HoldDeps, userId: string, ticketId: string): Promise<void> {
  const { orders, maxOpenOrders, maxHoldsPerHour, now } = deps;
  const hourAgo = new Date(now() - HOUR_MS);
  const [live, holds] = await Promise.all([
    orders.countDocuments({ userId, status: { $in: ACTIVE } }),
    orders.countDocuments({ userId, ticketId, createTime: { $gt: hourAgo } }),
  ]);
  if (live >= maxOpenOrders) {
    throw new DomainError(
      "TOO_MANY_OPEN_ORDERS",
      `pay or cancel one of your ${live} open orders first`,
    );
  }
  if (holds >= maxHoldsPerHour) {
    throw new DomainError(
      "TOO_MANY_HOLDS",
      "you have held this ticket too often; try again later",
      {
        retryAfterMs: HOUR_MS,
      },
    );
  }
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

/** Of orders made in the same moment, the last ones are too many: none of them counted the others. */
async function withinLimit({ orders, maxOpenOrders }: HoldDeps, order: Order): Promise<Order> {
  const { _id, userId } = order;
  const open = { userId, status: { $in: ACTIVE }, _id: { $lte: _id } };
  if ((await orders.countDocuments(open)) <= maxOpenOrders) return order;
  await takeBack(orders, _id, cancel);
  throw new DomainError("TOO_MANY_OPEN_ORDERS", "pay or cancel one of your open orders first");
}

/** A ban that came in the same moment did not see this order; now it is there to be seen. */
async function unlessBanned({ orders, standings }: HoldDeps, order: Order): Promise<Order> {
  const { _id, userId, sellerId } = order;
  const [buyerIsOut, sellerIsOut] = await Promise.all([
    isOut(standings, userId),
    isOut(standings, sellerId),
  ]);
  if (!buyerIsOut && !sellerIsOut) return order;
  await takeBack(orders, _id, ban);
  if (buyerIsOut) throw new DomainError("BANNED", "this account is banned");
  throw new DomainError("TICKET_WITHDRAWN", "this ticket is no longer for sale");
}

function refusal(holder: Order, buyerId: string): DomainError {
  if (holder.status === "COMPLETED") return new DomainError("TICKET_SOLD", "this ticket is sold");
  const until = holder.expiresAt.toISOString();
  if (holder.userId === buyerId) {
    const metadata = { order_id: holder._id, until };
    return new DomainError("ALREADY_HOLDING", "you are holding this ticket already", { metadata });
  }
  const metadata = { until };
  return new DomainError("TICKET_HELD", `somebody else holds this ticket until ${until}`, {
    metadata,
  });
}

/** The order that this request made before, where it is a retry. */
async function findReplay(
  orders: Orders,
  userId: string,
  mark: Partial<RequestMark>,
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
  { orders, holdSeconds, now }: HoldDeps,
  ticket: TicketFields,
  userId: string,
  mark: Partial<RequestMark>,
): Promise<Order> {
  const { _id: ticketId, sellerId, title, price, currency, category, venue, eventTime } = ticket;
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
    expiresAt: withinEvent(now() + holdSeconds * 1000, eventTime),
    holdNumber: (last?.holdNumber ?? 0) + 1,
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
  mark: Partial<RequestMark>,
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
    await mustBeWithinLimits(deps, userId, ticket._id);
    const order = await draft(deps, ticket, userId, mark);
    try {
      return await unlessBanned(deps, await withinLimit(deps, await order.save()));
    } catch (error) {
      // Somebody was quicker, and is the holder in the next round; or our own twin was.
      if (!duplicateOf(error)) throw error;
    }
  }
  throw new DomainError("CHANGED_MEANWHILE", "many want this ticket; try again");
}
