import { parseArgs } from "node:util";
import { parseConfig } from "#runtime/config.ts";
import { formatAmount } from "#runtime/values/money.ts";
import { balanceModel } from "../balances/balance.ts";
import { paymentConfig } from "../config.ts";
import { paymentModel } from "../payment-model.ts";
import { payoutModel } from "../payout.ts";
import { findWrongBalances } from "../balances/balance-check.ts";
import { connectToDatabase } from "./command-context.ts";

const needed = { MONGODB_URI: true, PAYOUT_HOLD_DAYS: true } as const;
const options = { mend: { type: "boolean", default: false } } as const;

/** Lists the balances that differ from the ledger, rebuilds them with --mend, and returns the exit code. */
export async function balancesCommand(args: string[]): Promise<number> {
  const { mend } = parseArgs({ args, options }).values;
  const config = parseConfig(paymentConfig.pick(needed), process.env);
  const db = await connectToDatabase(config.MONGODB_URI);
  const deps = {
    payments: paymentModel(db),
    payouts: payoutModel(db),
    balances: balanceModel(db),
    now: Date.now,
    holdDays: config.PAYOUT_HOLD_DAYS,
  };
  const wrong = await findWrongBalances(deps, mend);
  for (const { sellerId, currency, materialized, ledger } of wrong) {
    const [balance, expected] = [materialized, ledger].map((amount) =>
      formatAmount({ amount, currency }),
    );
    console.log(`not the same: seller ${sellerId}: balance ${balance}, by the ledger ${expected}`);
  }
  if (wrong.length === 0) {
    console.log("All balances are equal to the ledger.");
    return 0;
  }
  const count = wrong.length === 1 ? "1 balance differs" : `${wrong.length} balances differ`;
  console.log(mend ? `${count}; rebuilt.` : `${count}. Add --mend to rebuild.`);
  return mend ? 0 : 1;
}
