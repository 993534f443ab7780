import { update } from "#runtime/aggregate.ts";
import type { PaymentFields, Payments } from "./payment.ts";
import { isDisputed, isKept, left, pendingRefund, requestRefund } from "./refund.ts";

/** Which event: nobody but its sellers knows it by an id, so by what its tickets say. */
export interface Event {
  title: string;
  /** When it was to begin; any time, where it is not given. */
  time?: Date | undefined;
}

/** How many payments, and how much, in minor units by currency. */
export interface Sum {
  payments: number;
  amounts: Map<string, number>;
}

/** The payments of an event of which some money is still with us. */
export interface Found {
  /** Those that can be given back, by when their event was to begin. */
  dates: Map<string, Sum>;
  ids: string[];
  /** Money is going back already. */
  inProgress: number;
  /** The buyer's bank has the money. */
  disputed: number;
}

const nothing = (): Sum => ({ payments: 0, amounts: new Map() });

function count(sum: Sum, currency: string, amount: number): void {
  sum.payments += 1;
  sum.amounts.set(currency, (sum.amounts.get(currency) ?? 0) + amount);
}

/** Looks up what there is to give back. */
export async function findEvent(payments: Payments, { title, time }: Event): Promise<Found> {
  const found: Found = { dates: new Map(), ids: [], inProgress: 0, disputed: 0 };
  const taken = { captureTime: { $gt: new Date(0) }, "order.title": title };
  const all = payments
    .find({ ...taken, ...(time && { "order.eventTime": time }) }, { outbox: 0 })
    .collation({ locale: "en", strength: 2 }) // Whatever the case of its letters.
    .lean<PaymentFields[]>()
    .cursor();
  for await (const payment of all as AsyncIterable<PaymentFields>) {
    if (isDisputed(payment)) found.disputed += 1;
    else if (pendingRefund(payment)) found.inProgress += 1;
    else if (isKept(payment)) {
      const { currency, eventTime } = payment.order;
      const date = eventTime?.toISOString() ?? "no date";
      const sum = found.dates.get(date) ?? nothing();
      count(sum, currency, left(payment));
      found.dates.set(date, sum);
      found.ids.push(payment._id);
    }
  }
  return found;
}

/**
 * Decides for each payment that all of its money goes back; the running service brings it to Stripe.
 * One whose money is on its way back, or back, is left as it is, so this may be done twice.
 */
export async function refundAll(payments: Payments, ids: readonly string[]): Promise<Sum> {
  const sum = nothing();
  for (const id of ids) {
    let begun = 0;
    const payment = await update(payments, id, (now) => {
      const amount = left(now);
      const isBegun = requestRefund(now, { reason: "EVENT_CANCELLED" });
      begun = isBegun ? amount : 0;
      return isBegun;
    });
    if (payment && begun > 0) count(sum, payment.order.currency, begun);
  }
  return sum;
}
