import { update } from "#runtime/store/aggregate.ts";
import type { OrderReplica, PaymentFields, Payments } from "../payment.ts";
import {
  isDisputed,
  isCaptured,
  refundableAmount,
  pendingRefund,
  requestRefund,
} from "./refund.ts";

/**
 * Which event. It has no id of its own: its tickets' title, venue and time together say which one it
 * is. Less of that may be of several events, of which one only is cancelled.
 */
export type EventFilter =
  { title: string; venue?: string | undefined; time?: Date | undefined } | TicketFilter;

/** Tickets by their ids, whatever is written on them. */
export interface TicketFilter {
  ticketIds: readonly string[];
}

/** One payment of which money can be given back, in minor units. */
export interface Refundable extends Pick<
  OrderReplica,
  "title" | "venue" | "ticketId" | "currency"
> {
  orderId: string;
  eventTime?: Date | undefined;
  amount: number;
}

/** The payments of an event of which some money is still with us. */
export interface EventRefunds {
  refundable: Refundable[];
  /** Money is going back already. */
  inProgress: number;
  /** The buyer's bank has the money. */
  disputed: number;
}

/** How many payments, and how much, in minor units by currency. */
export interface Total {
  payments: number;
  amounts: Map<string, number>;
}

/** Whether an event is named so that it can be no other one. */
export const namesOneEvent = (event: EventFilter): boolean =>
  "ticketIds" in event || (event.venue !== undefined && event.time !== undefined);

const filterOf = (event: EventFilter) => {
  if ("ticketIds" in event) return { "order.ticketId": { $in: [...event.ticketIds] } };
  const { title, venue, time } = event;
  return {
    "order.title": title,
    ...(venue !== undefined && { "order.venue": venue }),
    ...(time && { "order.eventTime": time }),
  };
};

/** Looks up what there is to give back. */
export async function findEventRefunds(
  payments: Payments,
  event: EventFilter,
): Promise<EventRefunds> {
  const found: EventRefunds = { refundable: [], inProgress: 0, disputed: 0 };
  const all = payments
    .find({ captureTime: { $gt: new Date(0) }, ...filterOf(event) }, { outbox: 0 })
    .collation({ locale: "en", strength: 2 }) // Whatever the case of its letters.
    .sort({ "order.eventTime": 1, "order.venue": 1, _id: 1 })
    .lean<PaymentFields[]>()
    .cursor();
  for await (const payment of all as AsyncIterable<PaymentFields>) {
    if (isDisputed(payment)) found.disputed += 1;
    else if (pendingRefund(payment)) found.inProgress += 1;
    else if (isCaptured(payment)) {
      const { title, venue, ticketId, currency, eventTime } = payment.order;
      const what = { title, venue, ticketId, currency, eventTime };
      found.refundable.push({ ...what, orderId: payment._id, amount: refundableAmount(payment) });
    }
  }
  return found;
}

/** How much that is together. */
export function totalOf(amounts: readonly { currency: string; amount: number }[]): Total {
  const sum: Total = { payments: amounts.length, amounts: new Map() };
  for (const { currency, amount } of amounts) {
    sum.amounts.set(currency, (sum.amounts.get(currency) ?? 0) + amount);
  }
  return sum;
}

/**
 * Decides for each payment that all of its money goes back; the running service brings it to Stripe.
 * One whose money is on its way back, or back, is left as it is, so this may be done twice.
 */
export async function requestEventRefunds(
  payments: Payments,
  orderIds: readonly string[],
): Promise<Total> {
  const begun: { currency: string; amount: number }[] = [];
  for (const id of orderIds) {
    let amount = 0;
    const payment = await update(payments, id, (now) => {
      amount = refundableAmount(now);
      const isBegun = requestRefund(now, { reason: "EVENT_CANCELLED" });
      if (!isBegun) amount = 0;
      return isBegun;
    });
    if (payment && amount > 0) begun.push({ currency: payment.order.currency, amount });
  }
  return totalOf(begun);
}
