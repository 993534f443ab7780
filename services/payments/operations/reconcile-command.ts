import { formatAmount } from "#runtime/values/money.ts";
import { DAY_MS } from "#runtime/values/time.ts";
import { paymentModel } from "../payment-model.ts";
import { payoutModel } from "../payout.ts";
import { commandConfig, connectToDatabase, stripeOf } from "./command-context.ts";
import { reconcile, type Difference } from "./reconciliation.ts";

/** The start of a day, yesterday by default; undefined if the argument is not a date. */
function startOfDay(argument: string | undefined): Date | undefined {
  if (argument === undefined) return new Date(Math.floor(Date.now() / DAY_MS - 1) * DAY_MS);
  const day = new Date(/^\d{4}-\d\d-\d\d$/.test(argument) ? argument : "");
  const isADay = !Number.isNaN(day.getTime()) && day.toISOString().startsWith(argument);
  return isADay ? day : undefined;
}

function printDifference({ kind, id, currency, here, there }: Difference): void {
  const amountsOf = (amounts: number[]): string =>
    amounts.map((amount) => formatAmount({ amount, currency })).join(" and ") || "nothing";
  const what = !here.length ? "missing here" : !there.length ? "missing there" : "not the same";
  console.log(`${what}: ${kind} ${id}: here ${amountsOf(here)}, at Stripe ${amountsOf(there)}`);
}

/** Reconciles one day with Stripe, and returns the exit code; undefined if the day is not a date. */
export async function reconcileCommand([argument]: string[]): Promise<number | undefined> {
  const config = commandConfig(process.env);
  const from = startOfDay(argument);
  if (!from) return undefined;
  const db = await connectToDatabase(config.MONGODB_URI);
  const stripe = stripeOf(config);
  const deps = { payments: paymentModel(db), payouts: payoutModel(db), stripe };
  const found = await reconcile(deps, { from, to: new Date(from.getTime() + DAY_MS) });
  found.forEach(printDifference);
  const count = found.length === 1 ? "1 difference" : `${found.length} differences`;
  const result = found.length === 0 ? "the same on both sides" : count;
  console.log(`${from.toISOString().slice(0, 10)}: ${result}.`);
  return found.length === 0 ? 0 : 1;
}
