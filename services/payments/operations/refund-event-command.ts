import { parseArgs } from "node:util";
import { formatAmount } from "#runtime/values/money.ts";
import { paymentModel } from "../payment-model.ts";
import type { Payments } from "../payment.ts";
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
import { commandConfig, connectToDatabase } from "./command-context.ts";

const formatTotal = ({ payments, amounts }: Total): string =>
  [
    payments === 1 ? "1 payment" : `${payments} payments`,
    ...[...amounts].sort().map(([currency, amount]) => formatAmount({ amount, currency })),
  ].join(", ");

const formatEvent = ({ title, venue, eventTime }: Refundable): string =>
  [`"${title}"`, venue || "no venue", eventTime?.toISOString() ?? "no date"].join(", ");

/** Prints each event that was found, with its payments. */
function printEvents({ refundable, inProgress, disputed }: EventRefunds): void {
  for (const [event, payments] of Map.groupBy(refundable, formatEvent)) {
    console.log(`${event}: ${formatTotal(totalOf(payments))}`);
    for (const { orderId, ticketId, amount, currency } of payments)
      console.log(`  ticket ${ticketId}, order ${orderId}: ${formatAmount({ amount, currency })}`);
  }
  if (inProgress > 0) console.log(`${inProgress} more with a refund in progress.`);
  if (disputed > 0) console.log(`${disputed} more with a dispute, decided by the buyer's bank.`);
}

async function refundEvent(
  payments: Payments,
  event: EventFilter,
  isConfirmed: boolean,
): Promise<number> {
  const found = await findEventRefunds(payments, event);
  printEvents(found);
  const orderIds = found.refundable.map(({ orderId }) => orderId);
  if (orderIds.length === 0) console.log("There is nothing to refund.");
  else if (!isConfirmed) console.log("Nothing was refunded. Add --yes to refund all of it.");
  else if (!namesOneEvent(event)) {
    console.log("Nothing was refunded: several events may match. Give --venue and --time as well,");
    console.log("or --ticket for a ticket that has neither.");
    return 1;
  } else {
    const total = await requestEventRefunds(payments, orderIds);
    console.log(`Begun: ${formatTotal(total)}. The refunds are made within minutes.`);
  }
  return 0;
}

const options = {
  title: { type: "string" },
  venue: { type: "string" },
  time: { type: "string" },
  ticket: { type: "string", multiple: true },
  yes: { type: "boolean", default: false },
} as const;

/** The event that the options name; undefined if they name none. */
function parseEvent(args: string[]): { event: EventFilter; yes: boolean } | undefined {
  const { title, venue, time: timeText, ticket, yes } = parseArgs({ args, options }).values;
  const time = timeText === undefined ? undefined : new Date(timeText);
  const hasEventOptions = title !== undefined || venue !== undefined || timeText !== undefined;
  if (ticket) return hasEventOptions ? undefined : { event: { ticketIds: ticket }, yes };
  if (!title || Number.isNaN(time?.getTime())) return undefined;
  return { event: { title, venue, time }, yes };
}

/** Refunds an event, and returns the exit code; undefined if the options are wrong. */
export async function refundEventCommand(args: string[]): Promise<number | undefined> {
  const named = parseEvent(args);
  if (!named) return undefined;
  const { MONGODB_URI } = commandConfig(process.env);
  const db = await connectToDatabase(MONGODB_URI);
  return refundEvent(paymentModel(db), named.event, named.yes);
}
