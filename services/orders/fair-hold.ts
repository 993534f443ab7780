import type { Caller } from "#runtime/rpc/authentication.ts";
import { addressOf, networkOf } from "#runtime/identity/client-network.ts";
import type { DomainError } from "#runtime/errors.ts";
import { OrderError } from "./errors.ts";
import { hashedKey } from "#runtime/store/rate-limit.ts";
import { ACTIVE, type Order, type Orders } from "./order.ts";

// How much one buyer, and one network, can hold without paying. Decision 28 has the arithmetic.

export interface FairRules {
  orders: Orders;
  /** How long a first hold lasts. */
  holdSeconds: number;
  /** So many further holds of the same ticket are each half as long; those after them, no shorter. */
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

/** Who would hold what. */
interface Wish {
  userId: string;
  ticketId: string;
  /** The network that the call comes from, as `networkKey` has it. */
  network?: string | undefined;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How a hold ends that nobody paid for. A banned seller or a refund is not the buyer's doing. */
const UNPAID: ("BUYER" | "EXPIRED" | "PAYMENT_FAILED")[] = ["BUYER", "EXPIRED", "PAYMENT_FAILED"];

/** Holding asks for an address that answers: accounts by the dozen cost something then. */
export function mustBeConfirmed({ requireConfirmedEmail }: FairRules, caller: Caller): void {
  if (!requireConfirmedEmail || caller.emailConfirmed) return;
  throw new OrderError("EMAIL_NOT_CONFIRMED", "confirm your email address first");
}

/** The network that a call comes from, as a hold keeps it; none where it did not come by the edge. */
export function networkKey(header: Headers): string | undefined {
  const network = networkOf(addressOf(header));
  return network === "direct" ? undefined : hashedKey(network);
}

async function openOrdersOf(rules: FairRules, userId: string): Promise<number> {
  const { orders, maxOpenOrders, maxOpenOrdersNew } = rules;
  const hasBought = await orders.exists({ userId, status: "COMPLETED" });
  return hasBought ? maxOpenOrders : Math.min(maxOpenOrders, maxOpenOrdersNew);
}

const tooManyOpen = (max: number): DomainError =>
  new OrderError("TOO_MANY_OPEN_ORDERS", `${max} orders are open; pay or cancel one of them first`);

const tooManyOfTicket = (retryAfterMs: number): DomainError =>
  new OrderError("TOO_MANY_HOLDS", "you have held this ticket too often; try again later", {
    retryAfterMs,
  });

const tooManyOfNetwork = (): DomainError =>
  new OrderError(
    "TOO_MANY_HOLDS_FROM_NETWORK",
    "too many tickets are held from your network; try again in a few minutes",
    { retryAfterMs: MINUTE_MS },
  );

const heldFrom = (orders: Orders, network: string): Promise<number> =>
  orders.countDocuments({ network, status: "CREATED" }).exec();

/** Refuses a hold that would be too much for one buyer, or for one network. */
export async function mustBeFair(rules: FairRules, wish: Wish): Promise<void> {
  const { orders, maxHoldsPerHour, maxHoldsPerDay, maxHoldsPerNetwork, now } = rules;
  const { userId, ticketId, network } = wish;
  const heldWithin = (ms: number): Promise<number> =>
    orders.countDocuments({ userId, ticketId, createTime: { $gt: new Date(now() - ms) } }).exec();
  const [open, max, thisHour, today, nearby] = await Promise.all([
    orders.countDocuments({ userId, status: { $in: ACTIVE } }),
    openOrdersOf(rules, userId),
    heldWithin(HOUR_MS),
    heldWithin(DAY_MS),
    network === undefined ? 0 : heldFrom(orders, network),
  ]);
  if (open >= max) throw tooManyOpen(max);
  if (thisHour >= maxHoldsPerHour || today >= maxHoldsPerDay) throw tooManyOfTicket(HOUR_MS);
  if (nearby >= maxHoldsPerNetwork) throw tooManyOfNetwork();
}

/**
 * Why an order that is stored is one too many all the same. Of a buyer's own orders the last ones are;
 * of a network's, each that finds too many beside it: between replicas nobody is the last for sure.
 */
export async function excessOf(rules: FairRules, order: Order): Promise<DomainError | undefined> {
  const { orders, maxHoldsPerNetwork } = rules;
  const { _id, userId, network } = order;
  const [open, max, nearby] = await Promise.all([
    orders.countDocuments({ userId, status: { $in: ACTIVE }, _id: { $lte: _id } }),
    openOrdersOf(rules, userId),
    network === undefined ? 0 : heldFrom(orders, network),
  ]);
  if (open > max) return tooManyOpen(max);
  return nearby > maxHoldsPerNetwork ? tooManyOfNetwork() : undefined;
}

/** How long this hold lasts: each hold of the ticket that the buyer did not pay within a day halves it. */
export async function holdSecondsFor(
  { orders, holdSeconds, holdHalvings, now }: FairRules,
  userId: string,
  ticketId: string,
): Promise<number> {
  const unpaid = await orders.countDocuments({
    ...{ userId, ticketId, status: "CANCELLED", cancelReason: { $in: UNPAID } },
    createTime: { $gt: new Date(now() - DAY_MS) },
  });
  return holdSeconds / 2 ** Math.min(unpaid, holdHalvings);
}
