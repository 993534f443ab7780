import { rebuildBalances } from "../balances/balance-refresh.ts";
import { type BalanceDeps } from "../balances/balance-source.ts";
import { earningsInLedger } from "../balances/ledger-earnings.ts";
import { earningsOf } from "../balances/earnings.ts";

/** A balance that is not what the ledger says; what is available and held together, in minor units. */
export interface WrongBalance {
  sellerId: string;
  currency: string;
  kept: number;
  ledger: number;
}

type All = Map<string, { held: number; available: number; paidOut: number; payouts: number }>;

const byCurrency = (list: Awaited<ReturnType<typeof earningsOf>>): All =>
  new Map(list.map(({ currency, ...rest }) => [currency, rest]));

async function differences(deps: BalanceDeps, sellerId: string): Promise<WrongBalance[]> {
  const kept = byCurrency(await earningsOf(deps, sellerId));
  const ledger = byCurrency(await earningsInLedger(deps, sellerId));
  const none = { held: 0, available: 0, paidOut: 0, payouts: 0 };
  return [...new Set([...kept.keys(), ...ledger.keys()])].flatMap((currency) => {
    const [here, there] = [kept.get(currency) ?? none, ledger.get(currency) ?? none];
    const isSame = (Object.keys(none) as (keyof typeof none)[]).every(
      (part) => here[part] === there[part],
    );
    const sum = { kept: here.available + here.held, ledger: there.available + there.held };
    return isSame ? [] : [{ sellerId, currency, ...sum }];
  });
}

/**
 * Every balance that is not what the ledger says. One that changes at that moment is looked at again,
 * and then is the same. With `mend` they are counted anew.
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
