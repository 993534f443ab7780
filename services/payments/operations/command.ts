import { parseArgs } from "node:util";
import { parseConfig } from "#runtime/config.ts";
import { createLog } from "#runtime/log.ts";
import { formatAmount } from "#runtime/money.ts";
import { connectDatabase } from "#runtime/store/database.ts";
import { balanceModel } from "../balances/balance.ts";
import { findWrongBalances } from "./balance-check.ts";
import { reconcile, type Difference } from "./reconciliation.ts";
import { paymentConfig } from "../config.ts";
import { fetchWebhookEndpoints } from "./webhook-endpoints.ts";
import { paymentModel } from "../payment-model.ts";
import { type Payments } from "../payment.ts";
import { payoutModel } from "../payout.ts";
import {
  findEventRefunds,
  namesOneEvent,
  requestEventRefunds,
  totalOf,
  type EventFilter,
  type EventRefunds,
  type Refundable,
  type Total,
} from "../refunds/event-refunds.ts";
import { createStripe } from "../stripe/client.ts";

// For the people who look after it, beside a running service. It needs payments' own environment.

const help = `npm run payments -- <command>

  endpoint              whether Stripe tells us of all that we must know; where not, what is missing
  compare [YYYY-MM-DD]  every difference between Stripe's balance and our ledger on that day (UTC);
                        yesterday, if no day is given
  balances [--mend]     every seller's balance that is not what the ledger says; with --mend they are
                        counted anew
  refund-event --title <title> --venue <venue> --time <2027-06-01T19:00:00Z> [--yes]
  refund-event --ticket <id> [--ticket <id>]… [--yes]
                        gives back what was paid for a cancelled event, or for these tickets; without
                        --yes only says what that would be, by a title alone of all such events`;

const needed = {
  MONGODB_URI: true,
  STRIPE_KEY: true,
  STRIPE_API_BASE: true,
  PUBLIC_URL: true,
} as const;
const DAY_MS = 86_400_000;

const list = ({ payments, amounts }: Total): string =>
  [
    payments === 1 ? "1 payment" : `${payments} payments`,
    ...[...amounts].sort().map(([currency, amount]) => formatAmount({ amount, currency })),
  ].join(", ");

const wrong = (): number => {
  console.error(help);
  return 2;
};

/** Compares the balances that are kept with the ledger, and counts anew what differs where it may. */
async function balances(args: string[]): Promise<number> {
  const { mend } = parseArgs({
    args,
    options: { mend: { type: "boolean", default: false } },
  }).values;
  const { MONGODB_URI, PAYOUT_HOLD_DAYS: holdDays } = parseConfig(
    paymentConfig.pick({ MONGODB_URI: true, PAYOUT_HOLD_DAYS: true }),
    process.env,
  );
  const db = await connectDatabase(MONGODB_URI, createLog("payments", "warn"));
  const models = {
    ...{ payments: paymentModel(db), payouts: payoutModel(db), balances: balanceModel(db) },
  };
  const wrong = await findWrongBalances({ ...models, now: Date.now, holdDays }, mend);
  for (const { sellerId, currency, kept, ledger } of wrong) {
    const [there, right] = [kept, ledger].map((amount) => formatAmount({ amount, currency }));
    console.log(`not the same: seller ${sellerId}: available ${there}, by the ledger ${right}`);
  }
  const count = wrong.length === 1 ? "1 balance differs" : `${wrong.length} balances differ`;
  if (wrong.length === 0) console.log("All balances are what the ledger says.");
  else console.log(mend ? `${count}; counted anew.` : `${count}. Add --mend to count anew.`);
  return wrong.length === 0 || mend ? 0 : 1;
}

type Config = ReturnType<typeof readConfig>;
const readConfig = () => parseConfig(paymentConfig.pick(needed), process.env);
const stripeOf = (config: Config) => createStripe(config.STRIPE_KEY, config.STRIPE_API_BASE);

async function endpoint(config: Config): Promise<number> {
  const { url, own, connect } = await fetchWebhookEndpoints(stripeOf(config), config.PUBLIC_URL);
  const sides = [
    ["Stripe tells nobody at", own],
    ["Stripe tells nobody of sellers' accounts at", connect],
  ] as const;
  for (const [nobody, { isThere, missing }] of sides) {
    if (!isThere) console.log(`${nobody} ${url}: add that endpoint.`);
    for (const event of missing) console.log(`missing: ${event}`);
  }
  if (sides.some(([, { missing }]) => missing.length > 0)) return 1;
  console.log(`Stripe tells ${url} all that we must know.`);
  return 0;
}

/** The day's first moment; nothing where there is no such day. */
function dayOf(word: string | undefined): Date | undefined {
  if (word === undefined) return new Date(Math.floor(Date.now() / DAY_MS - 1) * DAY_MS);
  const day = new Date(/^\d{4}-\d\d-\d\d$/.test(word) ? word : "");
  const isADay = !Number.isNaN(day.getTime()) && day.toISOString().startsWith(word);
  return isADay ? day : undefined;
}

function sayDifference({ kind, id, currency, here, there }: Difference): void {
  const side = (amounts: number[]): string =>
    amounts.map((amount) => formatAmount({ amount, currency })).join(" and ") || "nothing";
  const what = !here.length ? "missing here" : !there.length ? "missing there" : "not the same";
  console.log(`${what}: ${kind} ${id}: here ${side(here)}, at Stripe ${side(there)}`);
}

async function compareDay(config: Config, word: string | undefined): Promise<number> {
  const from = dayOf(word);
  if (!from) return wrong();
  const db = await connectDatabase(config.MONGODB_URI, createLog("payments", "warn"));
  const models = { payments: paymentModel(db), payouts: payoutModel(db) };
  const span = { from, to: new Date(from.getTime() + DAY_MS) };
  const found = await reconcile({ ...models, stripe: stripeOf(config) }, span);
  const day = from.toISOString().slice(0, 10);
  found.forEach(sayDifference);
  const count = found.length === 1 ? "1 difference" : `${found.length} differences`;
  console.log(`${day}: ${found.length === 0 ? "the same on both sides" : count}.`);
  return found.length === 0 ? 0 : 1;
}

const shownEvent = ({ title, venue, eventTime }: Refundable): string =>
  [`"${title}"`, venue || "no venue", eventTime?.toISOString() ?? "no date"].join(", ");

/** Says what there is to give back: each event by itself, and each payment of it. */
function sayFound({ refundable, inProgress, disputed }: EventRefunds): void {
  for (const [event, payments] of Map.groupBy(refundable, shownEvent)) {
    console.log(`${event}: ${list(totalOf(payments))}`);
    for (const { orderId, ticketId, amount, currency } of payments)
      console.log(`  ticket ${ticketId}, order ${orderId}: ${formatAmount({ amount, currency })}`);
  }
  if (inProgress > 0) console.log(`${inProgress} more: money is going back already.`);
  if (disputed > 0) console.log(`${disputed} more: the buyer's bank has the money (a dispute).`);
}

async function refundEvent(
  payments: Payments,
  event: EventFilter,
  isMeant: boolean,
): Promise<number> {
  const found = await findEventRefunds(payments, event);
  sayFound(found);
  const ids = found.refundable.map(({ orderId }) => orderId);
  if (ids.length === 0) console.log("There is nothing to give back.");
  else if (!isMeant) console.log("Nothing was done. Add --yes to give all of it back.");
  else if (!namesOneEvent(event)) {
    console.log("Nothing was done: that may be more than one event. Say which by --venue and");
    console.log("--time together; where a ticket has none of them, by --ticket.");
    return 1;
  } else
    console.log(
      `Begun: ${list(await requestEventRefunds(payments, ids))}. It goes back within minutes.`,
    );
  return 0;
}

const options = {
  title: { type: "string" },
  venue: { type: "string" },
  time: { type: "string" },
  ticket: { type: "string", multiple: true },
  yes: { type: "boolean", default: false },
} as const;

/** Which event the options name; nothing where they name none. */
function eventOf(args: string[]): { event: EventFilter; yes: boolean } | undefined {
  const { title, venue, time: word, ticket, yes } = parseArgs({ args, options }).values;
  const time = word === undefined ? undefined : new Date(word);
  const isByWords = title !== undefined || venue !== undefined || word !== undefined;
  if (ticket) return isByWords ? undefined : { event: { ticketIds: ticket }, yes };
  if (!title || Number.isNaN(time?.getTime())) return undefined;
  return { event: { title, venue, time }, yes };
}

async function refundEventBy(args: string[]): Promise<number> {
  const named = eventOf(args);
  if (!named) return wrong();
  const { MONGODB_URI } = readConfig();
  const db = await connectDatabase(MONGODB_URI, createLog("payments", "warn"));
  return refundEvent(paymentModel(db), named.event, named.yes);
}

/** What the command's exit code is to be. */
async function run([command, ...args]: string[]): Promise<number> {
  switch (command) {
    case "endpoint":
      return endpoint(readConfig());
    case "compare":
      return compareDay(readConfig(), args[0]);
    case "balances":
      return balances(args);
    case "refund-event":
      return refundEventBy(args);
    default:
      return wrong();
  }
}

try {
  process.exit(await run(process.argv.slice(2)));
} catch (error) {
  console.error((error as Error).message); // Not all of it: Stripe's own carry its whole answer.
  process.exit(1);
}
