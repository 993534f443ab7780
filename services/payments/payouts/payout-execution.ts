import { type BanReplica, isBanned } from "#marketplace/ban-replica.ts";
import type { Log } from "#runtime/log.ts";
import { roundDownForStripe } from "#runtime/money.ts";
import type { Balance } from "../balances/balance.ts";
import { type EarningsDeps, earningsOf } from "../balances/earnings.ts";
import { materializeDue } from "../balances/balance-refresh.ts";
import type { Payout } from "../payout.ts";
import type { TransferResult } from "../stripe/payout-accounts.ts";
import {
  beginPayout,
  CANCEL_REASONS,
  cancelPayout,
  type CancelReason,
  incrementFaults,
  markPaid,
  markRefused,
  markSent,
} from "./payout-state.ts";
import { refreshAccount, type Seller, type SellerDeps } from "./seller.ts";

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
    log.info(about, "a payout is to be canceled, but an earlier request may still succeed; waiting");
  } else if (await cancelPayout(payouts, payout, why, new Date(now()))) {
    log.info(about, "a payout was canceled; the money is back in the balance");
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
    log.warn({ payoutId, code }, "a payout failed at Stripe; retrying");
    return;
  }
  if (!(await markRefused(payouts, payout, code, new Date(now())))) return;
  const about = { alarm: true, payoutId, code };
  log.error(about, "Stripe refuses a payout; the money is back in the balance, so check the seller's account");
  await refreshAccount(deps, { _id: sellerId, accountId });
}

/** Goes on with a payout of which it is not known how far it came. */
export async function resume(deps: PayoutDeps, payout: Payout): Promise<void> {
  const { log, now } = deps;
  if (now() - payout.createTime.getTime() > DAY_MS) {
    const about = { alarm: true, payoutId: payout._id };
    log.error(about, "a payout has been pending for more than a day; check it in the Stripe Dashboard");
  }
  await execute(deps, payout);
}

/** Pays out what is available in a balance. */
export async function payOutBalance(
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
