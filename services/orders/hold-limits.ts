import type { Caller } from "#runtime/identity/tokens.ts";
import { addressOf, networkOf } from "#runtime/identity/client-network.ts";
import type { DomainError } from "#runtime/errors.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "#runtime/values/time.ts";
import { OrderError } from "./errors.ts";
import { hashedKey } from "#runtime/store/rate-limit.ts";
import { ACTIVE, type Order, type Orders } from "./order.ts";

// How much one buyer, and one client network, may hold without paying: decision 28.

export interface HoldLimits {
  orders: Orders;
  /** How long a first hold lasts. */
  holdSeconds: number;
  /** How many further holds of the same ticket are each half as long as the one before. */
  holdHalvings: number;
  /** How often one buyer may hold one ticket. */
  maxHoldsPerHour: number;
  maxHoldsPerDay: number;
  /** How many orders a buyer may have open. */
  maxOpenOrders: number;
  /** The same, for a buyer who has never bought anything. */
  maxOpenOrdersNew: number;
  /** How many unpaid holds may come from one client network. */
  maxHoldsPerNetwork: number;
  requireConfirmedEmail: boolean;
  now: () => number;
}

/** A buyer and the ticket that they ask to hold. */
interface Candidate {
  userId: string;
  ticketId: string;
  /** The network that the call comes from, as `networkKey` has it. */
  network?: string | undefined;
}

/** How unpaid holds end. Bans and refunds are left out: the buyer did not cause them. */
const UNPAID: ("BUYER" | "EXPIRED" | "PAYMENT_FAILED")[] = ["BUYER", "EXPIRED", "PAYMENT_FAILED"];

/** A confirmed email address makes it expensive to hold tickets from many accounts. */
export function mustHaveConfirmedEmail(
  { requireConfirmedEmail }: HoldLimits,
  caller: Caller,
): void {
  if (!requireConfirmedEmail || caller.emailConfirmed) return;
  throw new OrderError("EMAIL_NOT_CONFIRMED", "confirm your email address first");
}

/** The client network of a call, hashed; undefined for a call that did not pass the edge. */
export function networkKey(header: Headers): string | undefined {
  const network = networkOf(addressOf(header));
  return network === "direct" ? undefined : hashedKey(network);
}

async function openOrderLimitOf(rules: HoldLimits, userId: string): Promise<number> {
  const { orders, maxOpenOrders, maxOpenOrdersNew } = rules;
  const hasBought = await orders.exists({ userId, status: "COMPLETED" });
  return hasBought ? maxOpenOrders : Math.min(maxOpenOrders, maxOpenOrdersNew);
}

const tooManyOpenOrders = (max: number): DomainError =>
  new OrderError("TOO_MANY_OPEN_ORDERS", `${max} orders are open; pay or cancel one of them first`);

const tooManyHoldsOfTicket = (retryAfterMs: number): DomainError =>
  new OrderError("TOO_MANY_HOLDS", "you have held this ticket too often; try again later", {
    retryAfterMs,
  });

const tooManyHoldsOfNetwork = (): DomainError =>
  new OrderError(
    "TOO_MANY_HOLDS_FROM_NETWORK",
    "too many tickets are held from your network; try again in a few minutes",
    { retryAfterMs: MINUTE_MS },
  );

const countHoldsFrom = (orders: Orders, network: string): Promise<number> =>
  orders.countDocuments({ network, status: "CREATED" }).exec();

/** Refuses a hold that exceeds a limit of its buyer or of its client network. */
export async function checkHoldLimits(rules: HoldLimits, candidate: Candidate): Promise<void> {
  const { orders, maxHoldsPerHour, maxHoldsPerDay, maxHoldsPerNetwork, now } = rules;
  const { userId, ticketId, network } = candidate;
  const heldWithin = (ms: number): Promise<number> =>
    orders.countDocuments({ userId, ticketId, createTime: { $gt: new Date(now() - ms) } }).exec();
  const [open, max, thisHour, today, ofNetwork] = await Promise.all([
    orders.countDocuments({ userId, status: { $in: ACTIVE } }),
    openOrderLimitOf(rules, userId),
    heldWithin(HOUR_MS),
    heldWithin(DAY_MS),
    network === undefined ? 0 : countHoldsFrom(orders, network),
  ]);
  if (open >= max) throw tooManyOpenOrders(max);
  if (thisHour >= maxHoldsPerHour || today >= maxHoldsPerDay) throw tooManyHoldsOfTicket(HOUR_MS);
  if (ofNetwork >= maxHoldsPerNetwork) throw tooManyHoldsOfNetwork();
}

/**
 * The limit that a stored order exceeds, if any. Of one buyer's orders the newest exceed it. Of a client
 * network's orders, each one that finds too many does: instances cannot tell which one came last.
 */
export async function findExcess(
  rules: HoldLimits,
  order: Order,
): Promise<DomainError | undefined> {
  const { orders, maxHoldsPerNetwork } = rules;
  const { _id, userId, network } = order;
  const [open, max, ofNetwork] = await Promise.all([
    orders.countDocuments({ userId, status: { $in: ACTIVE }, _id: { $lte: _id } }),
    openOrderLimitOf(rules, userId),
    network === undefined ? 0 : countHoldsFrom(orders, network),
  ]);
  if (open > max) return tooManyOpenOrders(max);
  return ofNetwork > maxHoldsPerNetwork ? tooManyHoldsOfNetwork() : undefined;
}

/** How long a hold lasts: each unpaid hold of the same ticket in the last day halves it. */
export async function holdSecondsFor(
  { orders, holdSeconds, holdHalvings, now }: HoldLimits,
  userId: string,
  ticketId: string,
): Promise<number> {
  const unpaid = await orders.countDocuments({
    userId,
    ticketId,
    status: "CANCELLED",
    cancelReason: { $in: UNPAID },
    createTime: { $gt: new Date(now() - DAY_MS) },
  });
  return holdSeconds / 2 ** Math.min(unpaid, holdHalvings);
}
