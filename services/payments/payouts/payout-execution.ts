import { type BanReplica, isBanned } from "#marketplace/ban-replica.ts";
import type { Log } from "#runtime/log.ts";
import { DAY_MS } from "#runtime/values/time.ts";
import { roundDownForStripe } from "#marketplace/stripe-amount.ts";
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

/** The transfer of a payout at Stripe: an earlier request may have succeeded although its answer was lost. */
async function findTransfer(
  { accounts }: PayoutDeps,
  { _id, amount }: Payout,
): Promise<string | undefined> {
  const transfer = await accounts.findTransfer(_id);
  if (transfer && transfer.amount !== amount) throw new Error("Stripe has it with another amount");
  return transfer?.id;
}

/** Requests the transfer. If Stripe refuses, an earlier request may still have succeeded. */
async function createTransfer(deps: PayoutDeps, payout: Payout): Promise<TransferResult> {
  const { _id: id, accountId, amount, currency, faults } = payout;
  const sent = await deps.accounts.createTransfer({ id, faults, amount, currency, accountId });
  if (sent.outcome !== "refused") return sent;
  const transferId = await findTransfer(deps, payout);
  return transferId === undefined ? sent : { outcome: "paid", transferId };
}

/** Why a payout must be canceled now; undefined if it may be made. */
async function cancelReasonOf(
  deps: PayoutDeps,
  { sellerId, currency }: Payout,
): Promise<CancelReason | undefined> {
  if (await isBanned(deps.banReplica, sellerId)) return "seller_banned";
  const earnings = await earningsOf(deps, sellerId);
  const now = earnings.find((each) => each.currency === currency);
  // The sum includes this payout, so a negative balance means that it would pay out too much.
  return (now?.available ?? 0) < 0 ? "balance_changed" : undefined;
}

/** A request to Stripe has ended after this time, whatever its result. */
const LONGEST_REQUEST_MS = 600_000;

/** Cancels a payout, as soon as no earlier request for its transfer can succeed any more. */
async function cancelUnlessSent(
  deps: PayoutDeps,
  payout: Payout,
  why: CancelReason,
): Promise<void> {
  const { payouts, log, now } = deps;
  const about = { payoutId: payout._id, why };
  if (payout.sentTime && now() - payout.sentTime.getTime() < LONGEST_REQUEST_MS) {
    log.info(
      about,
      "a payout is to be canceled, but an earlier request may still succeed; waiting",
    );
  } else if (await cancelPayout(payouts, payout, why, new Date(now()))) {
    log.info(about, "a payout was canceled; the money is back in the balance");
    await materializeDue(deps, payout.sellerId);
  }
}

/**
 * Makes the transfer of a payout once, and stores the result. Each attempt decides again: a transfer that
 * Stripe has made is recorded as paid, and one that it has not made is requested only if the payout is
 * still allowed.
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
  log.error(
    about,
    "Stripe refuses a payout; the money is back in the balance, so check the seller's account",
  );
  await refreshAccount(deps, { _id: sellerId, accountId });
}

/** Continues a pending payout. */
export async function resume(deps: PayoutDeps, payout: Payout): Promise<void> {
  const { log, now } = deps;
  if (now() - payout.createTime.getTime() > DAY_MS) {
    const about = { alarm: true, payoutId: payout._id };
    log.error(
      about,
      "a payout has been pending for more than a day; check it in the Stripe Dashboard",
    );
  }
  await execute(deps, payout);
}

/** Pays out the available amount of a balance. */
export async function payOutBalance(
  deps: PayoutDeps,
  { sellerId, currency }: Balance,
  { accountId, changeTime }: Seller,
): Promise<void> {
  const { payouts, banReplica, now } = deps;
  if (await isBanned(banReplica, sellerId)) return; // Their earnings wait until the ban is lifted.
  const earnings = await earningsOf(deps, sellerId);
  const { available = 0, payouts: before = 0 } =
    earnings.find((each) => each.currency === currency) ?? {};
  const amount = roundDownForStripe({ amount: available, currency });
  if (amount <= 0) return;
  // A refused payout is not retried for a day, unless the account has changed since.
  const since = new Date(Math.max(now() - DAY_MS, changeTime.getTime()));
  const refused = {
    sellerId,
    currency,
    status: "FAILED" as const,
    updateTime: { $gt: since },
    failureCode: { $nin: CANCEL_REASONS },
  };
  if (await payouts.exists(refused)) return;
  const beginning = { sellerId, accountId, currency, amount, before };
  const payout = await beginPayout(payouts, beginning, new Date(now()));
  if (payout) await execute(deps, payout); // Otherwise another instance has begun one.
}
