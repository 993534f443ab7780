import { setTimeout as passing } from "node:timers/promises";
import { CallError } from "#runtime/errors.ts";
import { NO_TIME_LIMIT } from "#runtime/store/database.ts";
import {
  NO_CONTRIBUTION,
  openBalance,
  type Balance,
  type Balances,
  type BalanceSource,
  type AppliedContribution,
  type SourceKind,
  type Contribution,
} from "./balance.ts";
import { availableTime } from "./availability.ts";
import { owedToSeller } from "../ledger.ts";
import type { PaymentFields, Payments } from "../payment.ts";
import type { Payout, Payouts } from "../payout.ts";

// Balances follow the ledger: whatever changes a sale or a payout marks it in the same write, and here
// the difference to what was counted of it is added to its seller's balance, once. No transaction
// spans the two documents. The balance takes the share, and notes of which thing it is, in one
// compare-and-set; then the thing is told. Wherever a process dies, the next one goes on from the note.

export interface BalanceDeps {
  payments: Payments;
  payouts: Payouts;
  balances: Balances;
  now: () => number;
  /** What was earned with a ticket without a date waits so many days. */
  holdDays: number;
}

/** A sale or a payout, as far as it concerns a balance. */
interface SourceState extends BalanceSource {
  sellerId: string;
  currency: string;
  contribution: Contribution;
  /** When its share changes though nothing happens to it. */
  next: Date | undefined;
  /** What is so as long as nothing has happened to it. */
  unchanged: { version: number } | { status: Payout["status"] };
}

const isSame = (one: Contribution, other: Contribution): boolean =>
  one.held === other.held &&
  one.available === other.available &&
  one.paidOut === other.paidOut &&
  one.payouts === other.payouts;

function contributionOfSale(sale: PaymentFields, { now, holdDays }: BalanceDeps): SourceState {
  const { order, postings, version, counted } = sale;
  const owed = owedToSeller(postings);
  const time = availableTime(sale, holdDays);
  // What is owed by the seller of one sale is taken from the others, whatever its date.
  const isOver = owed < 0 || (time !== undefined && time.getTime() <= now());
  const [held, available] = isOver ? [0, owed] : [owed, 0];
  return {
    ...{ sellerId: order.sellerId, currency: order.currency, counted, unchanged: { version } },
    contribution: { ...NO_CONTRIBUTION, held, available },
    next: isOver ? undefined : time,
  };
}

function contributionOfPayout({
  sellerId,
  currency,
  postings,
  status,
  counted,
}: Payout): SourceState {
  const paidOut = -owedToSeller(postings);
  return {
    ...{ sellerId, currency, counted, unchanged: { status } },
    contribution: { held: 0, available: -paidOut, paidOut, payouts: 1 },
    next: undefined,
  };
}

async function readSource(
  deps: BalanceDeps,
  kind: SourceKind,
  id: string,
): Promise<SourceState | undefined> {
  if (kind === "sale") {
    const sale = await deps.payments.findById(id, { outbox: 0 }).lean<PaymentFields>();
    return sale?.captureTime ? contributionOfSale(sale, deps) : undefined;
  }
  const payout = await deps.payouts.findById(id).lean<Payout>();
  return payout ? contributionOfPayout(payout) : undefined;
}

/** Changes what a thing keeps of being counted; that is no change of the thing. */
async function updateSource(
  { payments, payouts }: BalanceDeps,
  kind: SourceKind,
  filter: object,
  change: object,
): Promise<void> {
  if (kind === "sale") await payments.updateOne(filter, change);
  else await payouts.updateOne(filter, change);
}

/** Tells the thing whose share was counted last; of an earlier process, perhaps. */
export async function completePending(
  deps: BalanceDeps,
  { _id, version, pending }: Balance,
): Promise<void> {
  if (!pending) return;
  const { kind, id, counted } = pending;
  const before = counted.n === 1 ? { counted: null } : { "counted.n": counted.n - 1 };
  await updateSource(deps, kind, { _id: id, ...before }, { $set: { counted } });
  const done = { $unset: { pending: 1 }, $inc: { version: 1 } };
  await deps.balances.updateOne({ _id, version }, done);
}

/** Adds the difference to a balance, if it is still as it was read, and notes of which thing it is. */
export async function applyContribution(
  { balances }: BalanceDeps,
  { _id, version }: Balance,
  thing: { kind: SourceKind; id: string; before: AppliedContribution; share: Contribution },
): Promise<Balance | undefined> {
  const { kind, id, before, share } = thing;
  const difference = {
    held: share.held - before.held,
    available: share.available - before.available,
    paidOut: share.paidOut - before.paidOut,
    payouts: share.payouts - before.payouts,
  };
  const pending = { kind, id, counted: { ...share, n: before.n + 1 } };
  const change = { $inc: { ...difference, version: 1 }, $set: { pending } };
  const after = await balances
    .findOneAndUpdate({ _id, version }, change, { returnDocument: "after" })
    .lean<Balance>();
  return after ?? undefined;
}

const MOST_ROUNDS = 20;

/** Brings the balance up to date with one thing. */
export async function materialize(deps: BalanceDeps, kind: SourceKind, id: string): Promise<void> {
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const found = await readSource(deps, kind, id);
    if (!found) return;
    // The balance first: what the thing says it was counted for is then at least as new.
    const balance = await openBalance(deps.balances, found.sellerId, found.currency);
    await completePending(deps, balance);
    const thing = balance.pending ? undefined : await readSource(deps, kind, id);
    if (thing) {
      const { contribution: share, counted: before = NO_CONTRIBUTION, next, unchanged } = thing;
      const isCounted = isSame(before, share);
      const after = isCounted
        ? undefined
        : await applyContribution(deps, balance, { kind, id, before, share });
      if (after) await completePending(deps, after);
      const rest = next ? { $set: { countTime: next } } : { $unset: { countTime: 1 } };
      if (isCounted || after) return updateSource(deps, kind, { _id: id, ...unchanged }, rest);
      await passing(Math.random() * 10 * (round + 1)); // Others count too.
    }
  }
  throw new CallError("CHANGED_MEANWHILE", "others keep changing this balance; try again");
}

/** Counts whatever has changed since it was counted, of one seller or of all. */
export async function materializeDue(deps: BalanceDeps, sellerId?: string): Promise<void> {
  const { payments, payouts, now } = deps;
  const countTime = { $lte: new Date(now()) };
  const sales = { countTime, ...(sellerId !== undefined && { "order.sellerId": sellerId }) };
  const paid = { countTime, ...(sellerId !== undefined && { sellerId }) };
  // Payouts first: money that was paid out must not be seen as available.
  for await (const { _id } of payouts.find(paid, { _id: 1 }).lean().cursor())
    await materialize(deps, "payout", _id);
  for await (const { _id } of payments.find(sales, { _id: 1 }).lean().cursor())
    await materialize(deps, "sale", _id);
}

const NOW = { countTime: new Date(0) };
const NEVER = { counted: null, countTime: null };

/**
 * Marks what is to be counted because the software is new, or its settings are: sales and payouts that
 * never were, and held ones whose wait depends on a setting.
 */
export async function markUnmaterialized({ payments, payouts }: BalanceDeps): Promise<void> {
  const taken = { captureTime: { $gt: new Date(0) } };
  await payments.updateMany({ ...taken, ...NEVER }, { $set: NOW }, NO_TIME_LIMIT);
  await payouts.updateMany(NEVER, { $set: NOW }, NO_TIME_LIMIT);
  const waits = { countTime: { $gt: new Date(0) }, "order.eventTime": null };
  await payments.updateMany(waits, { $set: NOW }, NO_TIME_LIMIT);
}

const LATELY_MS = 3_600_000;

/**
 * Marks what the version before has left uncounted since the start: while this one comes, its instances
 * still take money and pay out.
 */
export async function markRecentlyMissed({ payments, payouts, now }: BalanceDeps): Promise<void> {
  const lately = { $gt: new Date(now() - LATELY_MS) };
  await payments.updateMany({ captureTime: lately, ...NEVER }, { $set: NOW });
  await payouts.updateMany({ "postings.time": lately, ...NEVER }, { $set: NOW });
}

/** Counts a seller from nothing. */
export async function rebuildBalances(deps: BalanceDeps, sellerId: string): Promise<void> {
  const anew = { $set: NOW, $unset: { counted: 1 } };
  await deps.balances.deleteMany({ sellerId });
  await deps.payments.updateMany({ "order.sellerId": sellerId, captureTime: { $ne: null } }, anew);
  await deps.payouts.updateMany({ sellerId }, anew);
  await materializeDue(deps, sellerId);
}
