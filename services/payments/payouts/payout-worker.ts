import type { Log } from "#runtime/log.ts";
import { roundDownForStripe } from "#runtime/money.ts";
import { isBanned, type BanReplica } from "#marketplace/ban-replica.ts";
import { balanceId, withLease, type Balance } from "../balances/balance.ts";
import { materializeDue } from "../balances/materialization.ts";
import { earningsOf, type EarningsDeps } from "../balances/earnings.ts";
import {
  cancelPayout,
  beginPayout,
  incrementFaults,
  markPaid,
  markRefused,
  markSent,
  CANCEL_REASONS,
  type CancelReason,
  type Payout,
} from "../payout.ts";
import type { TransferResult } from "../stripe/payout-accounts.ts";
import { refreshWhenDue, refreshAccount, type Seller, type SellerDeps } from "./seller.ts";

export interface PayoutDeps extends EarningsDeps, SellerDeps {
  banReplica: BanReplica;
  log: Log;
}

const DAY_MS = 86_400_000;

/** What Stripe has of this payout already: an earlier try may have got further than we heard. */
async function findTransfer(
  { accounts }: PayoutDeps,
  { _id, amount }: Payout,
): Promise<string | undefined> {
  const transfer = await accounts.findTransfer(_id);
  if (transfer && transfer.amount !== amount) throw new Error("Stripe has it with another amount");
  return transfer?.id;
}

/** Asks Stripe to move the money; where it refuses, it may have moved it at an earlier try. */
async function createTransfer(deps: PayoutDeps, payout: Payout): Promise<TransferResult> {
  const { _id: id, accountId, amount, currency, faults } = payout;
  const sent = await deps.accounts.createTransfer({ id, faults, amount, currency, accountId });
  if (sent.outcome !== "refused") return sent;
  const transferId = await findTransfer(deps, payout);
  return transferId === undefined ? sent : { outcome: "paid", transferId };
}

/** Why a payout is not to be made, as things are now; undefined where nothing speaks against it. */
async function cancelReasonOf(
  deps: PayoutDeps,
  { sellerId, currency }: Payout,
): Promise<CancelReason | undefined> {
  if (await isBanned(deps.banReplica, sellerId)) return "seller_banned";
  const earnings = await earningsOf(deps, sellerId);
  const now = earnings.find((each) => each.currency === currency);
  // This payout is in the sum: what is below nothing, it would take from others.
  return (now?.available ?? 0) < 0 ? "balance_changed" : undefined;
}

/** A request that Stripe was sent so long ago has ended, one way or the other. */
const LONGEST_REQUEST_MS = 600_000;

/** Gives up a payout that Stripe has not made, as soon as it can no longer be made of an earlier try. */
async function cancelUnlessSent(
  deps: PayoutDeps,
  payout: Payout,
  why: CancelReason,
): Promise<void> {
  const { payouts, log, now } = deps;
  const about = { payoutId: payout._id, why };
  if (payout.sentTime && now() - payout.sentTime.getTime() < LONGEST_REQUEST_MS) {
    log.info(about, "a payout waits: it is not wanted any more, and may still be made");
  } else if (await cancelPayout(payouts, payout, why, new Date(now()))) {
    log.info(about, "a payout was given up; the money is in the balance again");
    await materializeDue(deps, payout.sellerId);
  }
}

/**
 * Moves the money of a payout, once, and writes down what became of it. However often it is tried,
 * each try decides anew: what Stripe has made is paid, and what the seller owes since is carried; what
 * it has not made is made only if it still should be.
 */
async function execute(deps: PayoutDeps, payout: Payout): Promise<void> {
  const { payouts, log, now } = deps;
  const { _id: payoutId, sellerId, accountId } = payout;
  const known = await findTransfer(deps, payout);
  if (known !== undefined) return markPaid(payouts, payout, known, new Date(now()));
  const why = await cancelReasonOf(deps, payout);
  if (why) return cancelUnlessSent(deps, payout, why);
  if (!(await markSent(payouts, payout, new Date(now())))) return;
  const sent = await createTransfer(deps, payout);
  if (sent.outcome === "paid") {
    await markPaid(payouts, payout, sent.transferId, new Date(now()));
    return;
  }
  const { code } = sent;
  if (sent.outcome === "fault") {
    await incrementFaults(payouts, payout);
    log.warn({ payoutId, code }, "a payout was not made; it is tried again");
    return;
  }
  if (!(await markRefused(payouts, payout, code, new Date(now())))) return;
  const about = { alarm: true, payoutId, code };
  log.error(about, "a payout was refused; the money is available again");
  await refreshAccount(deps, { _id: sellerId, accountId });
}

/** Goes on with a payout of which it is not known how far it came. */
async function resume(deps: PayoutDeps, payout: Payout): Promise<void> {
  const { log, now } = deps;
  if (now() - payout.createTime.getTime() > DAY_MS) {
    const about = { alarm: true, payoutId: payout._id };
    log.error(about, "a payout has been on its way for more than a day; look at Stripe");
  }
  await execute(deps, payout);
}

/** Pays out what is available in a balance. */
async function payOutBalance(
  deps: PayoutDeps,
  { sellerId, currency }: Balance,
  { accountId, changeTime }: Seller,
): Promise<void> {
  const { payouts, banReplica, now } = deps;
  if (await isBanned(banReplica, sellerId)) return; // What they have earned waits until the ban is lifted.
  const earnings = await earningsOf(deps, sellerId);
  const { available = 0, payouts: before = 0 } =
    earnings.find((each) => each.currency === currency) ?? {};
  const amount = roundDownForStripe({ amount: available, currency });
  if (amount <= 0) return;
  // What was refused would be again, unless the account has changed since.
  const since = new Date(Math.max(now() - DAY_MS, changeTime.getTime()));
  const refused = {
    ...{ sellerId, currency, status: "FAILED" as const, updateTime: { $gt: since } },
    failureCode: { $nin: CANCEL_REASONS },
  };
  if (await payouts.exists(refused)) return;
  const beginning = { sellerId, accountId, currency, amount, before };
  const payout = await beginPayout(payouts, beginning, new Date(now()));
  if (payout) await execute(deps, payout); // Else somebody else has begun one.
}

export interface PayoutWorker {
  /** Looks at every payout that is open, and every balance with something to pay out of it. */
  sweep(): Promise<void>;
  /** Begins nothing more. */
  stop(): void;
}

/**
 * Pays sellers out. Any number of instances may do so at once, of each balance one, and any of them may
 * die anywhere: a payout is stored, and counted, before its money moves, and moves under one key.
 */
export function payoutWorker(deps: PayoutDeps): PayoutWorker {
  const { sellers, payouts, balances, log } = deps;
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

  const due = () =>
    balances
      .find({ available: { $gt: 0 } })
      .lean<Balance[]>()
      .cursor();
  const leased = (id: string, work: () => Promise<void>): Promise<void> =>
    withLease(balances, id, deps.now(), work);

  /** Pays out of a balance, if its seller is ready or, where that was not so, is found to be. */
  async function pay(balance: Balance, isReady: boolean): Promise<void> {
    const seller = await sellers.findById(balance.sellerId).lean<Seller>();
    if (seller?.ready !== isReady || (!isReady && !(await refreshWhenDue(deps, seller)))) return;
    await leased(balance._id, () => payOutBalance(deps, balance, seller));
  }

  return {
    async sweep() {
      await materializeDue(deps);
      const open = payouts.find({ status: "PENDING" }).lean<Payout[]>().cursor();
      await each(open, ({ _id, sellerId, currency }: Payout) =>
        leased(balanceId(sellerId, currency), async () => {
          const payout = await payouts.findOne({ _id, status: "PENDING" }).lean<Payout>();
          if (payout) await resume(deps, payout);
        }),
      );
      // Those who are ready wait for nobody who is not.
      await each(due(), (balance: Balance) => pay(balance, true));
      await each(due(), (balance: Balance) => pay(balance, false));
    },
    stop() {
      stopped = true;
    },
  };
}
