import { type Balance, balanceId, withLease } from "../balances/balance.ts";
import { materializeDue } from "../balances/balance-refresh.ts";
import type { Payout } from "../payout.ts";
import { payOutBalance, type PayoutDeps, resume } from "./payout-execution.ts";
import { refreshWhenDue, type Seller } from "./seller.ts";

export interface PayoutWorker {
  /** Continues every pending payout, and pays out every available balance. */
  sweep(): Promise<void>;
  /** Starts no further payouts. */
  stop(): void;
}

/**
 * Pays sellers out. Several instances may run at once, and a lease gives each balance to one of them. A
 * crash at any point is safe: a payout is stored before its transfer is requested, and the transfer is
 * idempotent.
 */
export function payoutWorker(deps: PayoutDeps): PayoutWorker {
  const { sellers, payouts, balances, log } = deps;
  let stopped = false;

  /** A failure does not stop the others; the next sweep retries it. */
  async function each<T extends { _id: string }>(
    found: AsyncIterable<T>,
    work: (thing: T) => Promise<unknown>,
  ): Promise<void> {
    for await (const thing of found) {
      if (stopped) return;
      await work(thing).catch((error: unknown) => {
        const { message, type } = error as Error & { type?: string };
        log.warn(
          { id: thing._id, type, err: message },
          "a payout could not be processed; retrying",
        );
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

  /** Pays out a balance if its seller is ready, or has become ready. */
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
      // Sellers who are ready do not wait for those who are not.
      await each(due(), (balance: Balance) => pay(balance, true));
      await each(due(), (balance: Balance) => pay(balance, false));
    },
    stop() {
      stopped = true;
    },
  };
}
