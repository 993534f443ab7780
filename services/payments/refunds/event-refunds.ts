import { update } from "#runtime/store/aggregate.ts";
import { WAS_CAPTURED, type OrderReplica, type PaymentFields, type Payments } from "../payment.ts";
import { requestRefund } from "./refund.ts";
import { isCaptured, isDisputed, pendingRefund, refundableAmount } from "./refund-state.ts";

/**
 * Selects the payments of an event. An event has no id: the title, venue and time of its tickets
 * together identify it. With less than these, several events may match.
 */
export type EventFilter =
  { title: string; venue?: string | undefined; time?: Date | undefined } | TicketFilter;

/** Selects the payments of tickets by their ids. */
export interface TicketFilter {
  ticketIds: readonly string[];
}

/** A payment that can be refunded, with the amount in minor units. */
export interface Refundable extends Pick<
  OrderReplica,
  "title" | "venue" | "ticketId" | "currency"
> {
  orderId: string;
  eventTime?: Date | undefined;
  amount: number;
}

/** The captured payments of an event that are not fully refunded. */
export interface EventRefunds {
  refundable: Refundable[];
  /** How many have a refund in progress. */
  inProgress: number;
  /** How many are disputed, so that the buyer's bank has the money. */
  disputed: number;
}

/** The number of payments and their amounts, in minor units by currency. */
export interface Total {
  payments: number;
  amounts: Map<string, number>;
}

/** Whether a filter can match no more than one event. */
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

/** Finds the payments of an event that can be refunded. */
export async function findEventRefunds(
  payments: Payments,
  event: EventFilter,
): Promise<EventRefunds> {
  const found: EventRefunds = { refundable: [], inProgress: 0, disputed: 0 };
  const all = payments
    .find({ ...WAS_CAPTURED, ...filterOf(event) }, { outbox: 0 })
    .collation({ locale: "en", strength: 2 }) // Ignores case.
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

export function totalOf(amounts: readonly { currency: string; amount: number }[]): Total {
  const sum: Total = { payments: amounts.length, amounts: new Map() };
  for (const { currency, amount } of amounts) {
    sum.amounts.set(currency, (sum.amounts.get(currency) ?? 0) + amount);
  }
  return sum;
}

/**
 * Requests a full refund of each payment; the running service creates it at Stripe. A payment with a
 * refund in progress, or fully refunded, is left as it is, so that this may be repeated.
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
