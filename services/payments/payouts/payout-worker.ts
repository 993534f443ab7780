import { type Balance, balanceId, withLease } from "../balances/balance.ts";
import { materializeDue } from "../balances/balance-refresh.ts";
import type { Payout } from "../payout.ts";
import { payOutBalance, type PayoutDeps, resume } from "./payout-execution.ts";
import { refreshWhenDue, type Seller } from "./seller.ts";

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
        log.warn({ id: thing._id, type, err: message }, "a payout could not be processed; retrying");
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
