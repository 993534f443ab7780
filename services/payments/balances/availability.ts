import type { PaymentFields } from "../payment.ts";

const DAY_MS = 86_400_000;
/** An event is over so long after it has begun. */
export const EVENT_MS = DAY_MS;

/**
 * From when on a sale may be paid out; the same rule as in `earningsInLedger`, for one. Never what is,
 * or should be, on its way back to the buyer.
 */
export function availableTime(
  { order, captureTime, refunds }: Pick<PaymentFields, "order" | "captureTime" | "refunds">,
  holdDays: number,
): Date | undefined {
  const isGoing = refunds.some(({ status }) => status === "REQUESTED" || status === "PENDING");
  if (order.status === "CANCELLED" || isGoing) return undefined;
  if (order.eventTime) return new Date(order.eventTime.getTime() + EVENT_MS);
  return captureTime && new Date(captureTime.getTime() + holdDays * DAY_MS);
}
