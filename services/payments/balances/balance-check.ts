import { rebuildBalances } from "./balance-refresh.ts";
import { type BalanceDeps } from "./balance-source.ts";
import { earningsInLedger } from "./ledger-earnings.ts";
import { earningsOf } from "./earnings.ts";

/** A balance that differs from the ledger; available and held amounts together, in minor units. */
export interface WrongBalance {
  sellerId: string;
  currency: string;
  materialized: number;
  ledger: number;
}

type EarningsByCurrency = Map<
  string,
  { held: number; available: number; paidOut: number; payouts: number }
>;

const byCurrency = (list: Awaited<ReturnType<typeof earningsOf>>): EarningsByCurrency =>
  new Map(list.map(({ currency, ...rest }) => [currency, rest]));

async function differences(deps: BalanceDeps, sellerId: string): Promise<WrongBalance[]> {
  const materialized = byCurrency(await earningsOf(deps, sellerId));
  const ledger = byCurrency(await earningsInLedger(deps, sellerId));
  const none = { held: 0, available: 0, paidOut: 0, payouts: 0 };
  return [...new Set([...materialized.keys(), ...ledger.keys()])].flatMap((currency) => {
    const [here, there] = [materialized.get(currency) ?? none, ledger.get(currency) ?? none];
    const isSame = (Object.keys(none) as (keyof typeof none)[]).every(
      (part) => here[part] === there[part],
    );
    const sum = { materialized: here.available + here.held, ledger: there.available + there.held };
    return isSame ? [] : [{ sellerId, currency, ...sum }];
  });
}

/**
 * Finds the balances that differ from the ledger. A difference is checked twice, because a balance may
 * change at that moment. With `mend`, the differing balances are rebuilt.
 */
export async function findWrongBalances(deps: BalanceDeps, mend: boolean): Promise<WrongBalance[]> {
  const sellers: string[] = await deps.payments.distinct("order.sellerId", {
    captureTime: { $gt: new Date(0) },
  });
  const wrong: WrongBalance[] = [];
  for (const sellerId of sellers) {
    if ((await differences(deps, sellerId)).length === 0) continue;
    const still = await differences(deps, sellerId);
    if (still.length > 0 && mend) await rebuildBalances(deps, sellerId);
    wrong.push(...still);
  }
  return wrong;
}
