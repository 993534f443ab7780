import { DAY_MS } from "#runtime/values/time.ts";
import type { PaymentFields } from "../payment.ts";

/** An event counts as over this long after it has begun. */
export const EVENT_MS = DAY_MS;

/**
 * From when on a sale may be paid out; undefined while it is, or should be, refunded. `earningsInLedger`
 * has the same rule as a query.
 */
export function availableTime(
  { order, captureTime, refunds }: Pick<PaymentFields, "order" | "captureTime" | "refunds">,
  holdDays: number,
): Date | undefined {
  const hasRefundInProgress = refunds.some(
    ({ status }) => status === "REQUESTED" || status === "PENDING",
  );
  if (order.status === "CANCELLED" || hasRefundInProgress) return undefined;
  if (order.eventTime) return new Date(order.eventTime.getTime() + EVENT_MS);
  return captureTime && new Date(captureTime.getTime() + holdDays * DAY_MS);
}
