import type { PipelineStage } from "mongoose";
import type { BanReplica } from "#marketplace/ban-replica.ts";
import type { Caller } from "#runtime/identity/tokens.ts";
import { addressOf, networkOf } from "#runtime/identity/client-network.ts";
import type { DomainError } from "#runtime/errors.ts";
import { smallestIdAt } from "#runtime/store/ids.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "#runtime/values/time.ts";
import { OrderError } from "./errors.ts";
import { hashedKey } from "#runtime/store/rate-limit.ts";
import { ACTIVE, type OrderFields, type Orders } from "./order.ts";
import type { TicketFields, Tickets } from "./ticket-replica.ts";

// How much one buyer, and one client network, may hold without paying: decision 28.

export interface HoldLimits {
  orders: Orders;
  tickets: Tickets;
  banReplica: BanReplica;
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

type OwnOrder = Pick<OrderFields, "ticketId" | "status" | "cancelReason" | "createTime">;

/** What decides whether a buyer may hold a ticket that nobody else holds. */
export interface HoldFacts {
  ticket?: TicketFields;
  /** The buyer's orders of the last day. */
  ownOrders: readonly OwnOrder[];
  /** The number of the ticket's latest hold. */
  lastHoldNumber: number;
  /** The number of unpaid holds from the client network. */
  ofNetwork: number;
}

/** What is checked once more when an order is stored. */
export interface HoldRecount {
  /** The buyer's active orders up to this one. */
  open: number;
  ofNetwork: number;
  /** The buyer and the seller, as far as they are banned. */
  bannedIds: readonly string[];
}

/** How unpaid holds end. Bans and refunds are left out: the buyer did not cause them. */
const UNPAID: readonly unknown[] = ["BUYER", "EXPIRED", "PAYMENT_FAILED"];

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

// Each of the following reads is one command: its parts read different collections or indexes.

const union = (
  coll: string,
  ...pipeline: PipelineStage.UnionWithPipelineStage[]
): PipelineStage.UnionWith => ({ $unionWith: { coll, pipeline } });

/** Counts a network's unpaid holds up to its limit. An order that is not one any more has no network. */
function countOfNetwork({ orders, maxHoldsPerNetwork }: HoldLimits, network: string | undefined) {
  if (network === undefined) return [];
  const upToLimit = { $limit: maxHoldsPerNetwork + 1 };
  const { name } = orders.collection;
  return [union(name, { $match: { network } }, upToLimit, { $count: "ofNetwork" })];
}

/** Reads what decides whether a buyer may hold a ticket. */
export async function readHoldFacts(rules: HoldLimits, candidate: Candidate): Promise<HoldFacts> {
  const { userId, ticketId, network } = candidate;
  const { orders, tickets, now } = rules;
  const { name } = orders.collection;
  // No order is active for a day: its hold lasts minutes, and so does a capture.
  const lastDay = { $gt: smallestIdAt(now() - DAY_MS) };
  const fields = { ticketId: "$ticketId", status: "$status", createTime: "$createTime" };
  const own = { ...fields, cancelReason: "$cancelReason" };
  type Row = Partial<Omit<HoldFacts, "ownOrders">> & { own?: OwnOrder };
  const rows = await tickets.aggregate<Row>([
    { $match: { _id: ticketId } },
    { $project: { _id: 0, ticket: "$$ROOT" } },
    union(
      name,
      { $match: { ticketId } },
      { $sort: { holdNumber: -1 } },
      { $limit: 1 },
      { $project: { _id: 0, lastHoldNumber: "$holdNumber" } },
    ),
    union(name, { $match: { userId, _id: lastDay } }, { $project: { _id: 0, own } }),
    ...countOfNetwork(rules, network),
  ]);
  const ownOrders = rows.flatMap((row) => row.own ?? []);
  return Object.assign({ lastHoldNumber: 0, ofNetwork: 0 }, ...rows, { ownOrders }) as HoldFacts;
}

/** Reads what may have changed while an order was stored. */
export async function recountHolds(rules: HoldLimits, order: OrderFields): Promise<HoldRecount> {
  const { _id, userId, sellerId, network } = order;
  const banned = { _id: { $in: [userId, sellerId] }, banned: true };
  type Row = Partial<Omit<HoldRecount, "bannedIds">> & { bannedId?: string };
  const rows = await rules.orders.aggregate<Row>([
    { $match: { userId, status: { $in: [...ACTIVE] }, _id: { $lte: _id } } },
    { $count: "open" },
    ...countOfNetwork(rules, network),
    union(
      rules.banReplica.collection.name,
      { $match: banned },
      { $project: { _id: 0, bannedId: "$_id" } },
    ),
  ]);
  const bannedIds = rows.flatMap(({ bannedId }) => bannedId ?? []);
  return Object.assign({ open: 0, ofNetwork: 0 }, ...rows, { bannedIds }) as HoldRecount;
}

/**
 * The error for a buyer who has this many open orders and asks for another. Only a buyer who has reached
 * the limit of new buyers needs another read: whether they have bought anything.
 */
async function findOpenOrderExcess(
  { orders, maxOpenOrders, maxOpenOrdersNew }: HoldLimits,
  userId: string,
  open: number,
): Promise<DomainError | undefined> {
  if (open < Math.min(maxOpenOrders, maxOpenOrdersNew)) return undefined;
  if (open < maxOpenOrders && (await orders.exists({ userId, status: "COMPLETED" }))) {
    return undefined;
  }
  return tooManyOpenOrders(open < maxOpenOrders ? maxOpenOrdersNew : maxOpenOrders);
}

/** Refuses a hold that exceeds a limit of its buyer or of its client network. */
export async function checkHoldLimits(
  rules: HoldLimits,
  { userId, ticketId }: Candidate,
  { ownOrders, ofNetwork }: HoldFacts,
): Promise<void> {
  const { maxHoldsPerHour, maxHoldsPerDay, maxHoldsPerNetwork, now } = rules;
  const heldWithin = (ms: number): number =>
    ownOrders.filter((own) => own.ticketId === ticketId && own.createTime.getTime() > now() - ms)
      .length;
  const open = ownOrders.filter(({ status }) => ACTIVE.includes(status)).length;
  const excess = await findOpenOrderExcess(rules, userId, open);
  if (excess) throw excess;
  if (heldWithin(HOUR_MS) >= maxHoldsPerHour || heldWithin(DAY_MS) >= maxHoldsPerDay) {
    throw tooManyHoldsOfTicket(HOUR_MS);
  }
  if (ofNetwork >= maxHoldsPerNetwork) throw tooManyHoldsOfNetwork();
}

/**
 * The limit that a stored order exceeds, if any. Of one buyer's orders the newest exceed it. Of a client
 * network's orders, each one that finds too many does: instances cannot tell which one came last.
 */
export async function findExcess(
  rules: HoldLimits,
  { userId }: OrderFields,
  { open, ofNetwork }: HoldRecount,
): Promise<DomainError | undefined> {
  const excess = await findOpenOrderExcess(rules, userId, open - 1);
  return excess ?? (ofNetwork > rules.maxHoldsPerNetwork ? tooManyHoldsOfNetwork() : undefined);
}

/** How long a hold lasts: each unpaid hold of the same ticket in the last day halves it. */
export function holdSecondsFor(
  { holdSeconds, holdHalvings, now }: HoldLimits,
  ticketId: string,
  { ownOrders }: HoldFacts,
): number {
  const unpaid = ownOrders.filter(
    (own) =>
      own.ticketId === ticketId &&
      own.status === "CANCELLED" &&
      UNPAID.includes(own.cancelReason) &&
      own.createTime.getTime() > now() - DAY_MS,
  );
  return holdSeconds / 2 ** Math.min(unpaid.length, holdHalvings);
}
