import type { Log } from "#runtime/log.ts";
import { movablePart } from "#runtime/money.ts";
import { isOut, type Standings } from "#runtime/standing.ts";
import { earningsOf, type EarningsDeps } from "./earnings.ts";
import { beginPayout, noteFault, notePaid, noteRefused, type Payout } from "./payout.ts";
import type { Transferred } from "./payout-accounts.ts";
import { lookAtAccount, type Seller, type SellerDeps } from "./seller.ts";

export interface PayoutDeps extends EarningsDeps, SellerDeps {
  standings: Standings;
  log: Log;
}

const DAY_MS = 86_400_000;

/** What Stripe has of this payout already: an earlier try may have got further than we heard. */
async function made(
  { accounts }: PayoutDeps,
  { _id, amount }: Payout,
): Promise<string | undefined> {
  const transfer = await accounts.find(_id);
  if (transfer && transfer.amount !== amount) throw new Error("Stripe has it with another amount");
  return transfer?.id;
}

async function send(deps: PayoutDeps, payout: Payout): Promise<Transferred> {
  const known = await made(deps, payout);
  if (known !== undefined) return { outcome: "paid", transferId: known };
  const { _id: id, accountId, amount, currency, faults } = payout;
  const sent = await deps.accounts.transfer({ id, faults, amount, currency, accountId });
  if (sent.outcome !== "refused") return sent;
  const transferId = await made(deps, payout);
  return transferId === undefined ? sent : { outcome: "paid", transferId };
}

/** Moves the money of a payout, once, and writes down what became of it. */
async function finish(deps: PayoutDeps, payout: Payout): Promise<void> {
  const { payouts, log, now } = deps;
  const { _id: payoutId, sellerId, accountId } = payout;
  const sent = await send(deps, payout);
  if (sent.outcome === "paid") {
    await notePaid(payouts, payout, sent.transferId, new Date(now()));
    return;
  }
  const { code } = sent;
  if (sent.outcome === "fault") {
    await noteFault(payouts, payout);
    log.warn({ payoutId, code }, "a payout was not made; it is tried again");
    return;
  }
  if (!(await noteRefused(payouts, payout, code, new Date(now())))) return;
  const about = { alarm: true, payoutId, code };
  log.error(about, "a payout was refused; the money is available again");
  await lookAtAccount(deps, { _id: sellerId, accountId });
}

/** Goes on with a payout of which it is not known how far it came. */
async function resume(deps: PayoutDeps, payout: Payout): Promise<void> {
  const { log, now } = deps;
  if (now() - payout.createTime.getTime() > DAY_MS) {
    const about = { alarm: true, payoutId: payout._id };
    log.error(about, "a payout has been on its way for more than a day; look at Stripe");
  }
  await finish(deps, payout);
}

/** Pays a seller out what is available, in each currency. */
async function paySeller(deps: PayoutDeps, { _id: sellerId, ...seller }: Seller): Promise<void> {
  const { payouts, standings, now } = deps;
  if (await isOut(standings, sellerId)) return; // What they have earned waits until the ban is lifted.
  const { accountId, changeTime } = seller;
  for (const earnings of await earningsOf(deps, sellerId)) {
    const { currency, available, payouts: before } = earnings;
    const amount = movablePart({ amount: available, currency });
    if (amount <= 0) continue;
    // What was refused would be again, unless the account has changed since.
    const since = new Date(Math.max(now() - DAY_MS, changeTime.getTime()));
    const refused = { sellerId, currency, status: "FAILED" as const, updateTime: { $gt: since } };
    if (await payouts.exists(refused)) continue;
    const beginning = { sellerId, accountId, currency, amount, before };
    const payout = await beginPayout(payouts, beginning, new Date(now()));
    if (payout) await finish(deps, payout); // Else somebody else has begun one.
  }
}

export interface PayoutWorker {
  /** Looks at every account that is not ready, every payout that is open, every seller who is owed. */
  sweep(): Promise<void>;
  /** Begins nothing more. */
  stop(): void;
}

/**
 * Pays sellers out. Any number of instances may do so at once, and any of them may die anywhere: a
 * payout is stored, and counted, before its money moves, and moves under one key.
 */
export function payoutWorker(deps: PayoutDeps): PayoutWorker {
  const { sellers, payouts, log } = deps;
  let stopped = false;

  /** One that fails keeps nobody else from their money; it is tried again at the next sweep. */
  async function each<T extends { _id: string }>(
    found: AsyncIterable<T>,
    work: (thing: T) => Promise<unknown>,
  ): Promise<void> {
    for await (const thing of found) {
      if (stopped) return;
      await work(thing).catch((error: unknown) => {
        const { message, type } = error as Error & { type?: string };
        log.warn({ id: thing._id, type, err: message }, "a payout waits; it is tried again");
      });
    }
  }

  return {
    async sweep() {
      const unready = sellers.find({ ready: false }).lean<Seller[]>().cursor();
      await each(unready, (seller: Seller) => lookAtAccount(deps, seller));
      const open = payouts.find({ status: "PENDING" }).lean<Payout[]>().cursor();
      await each(open, (payout: Payout) => resume(deps, payout));
      const ready = sellers.find({ ready: true }).lean<Seller[]>().cursor();
      await each(ready, (seller: Seller) => paySeller(deps, seller));
    },
    stop() {
      stopped = true;
    },
  };
}
