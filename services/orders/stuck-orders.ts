import { alarm } from "#runtime/alarm.ts";
import type { Log } from "#runtime/log.ts";
import type { OrderFields, Orders } from "./order.ts";
import { MINUTE_MS } from "#runtime/values/time.ts";

interface Deps {
  orders: Orders;
  now: () => number;
  log: Log;
}

/** An accepted payment is captured within a second, unless something is wrong. */
const CAPTURE_TIMEOUT_MS = 5 * MINUTE_MS;
/** Where more orders than this are stuck, these are enough for an operator to act on. */
const MAX_ALARMS = 100;

/**
 * Raises an alarm for orders whose payment was accepted and has not been captured. They are not ended
 * automatically: the money may have been taken, and only payments and Stripe know.
 */
export function stuckOrders({ orders, now, log }: Deps): () => Promise<void> {
  const raise = alarm<{ orderId: string; attemptId?: string | undefined }>({
    log,
    now,
    message: "an order has been awaiting its capture for too long",
    idOf: ({ orderId }) => orderId,
  });
  return async () => {
    const since = new Date(now() - CAPTURE_TIMEOUT_MS);
    const stuck = { status: "AWAITING_PAYMENT" as const, updateTime: { $lte: since } };
    const found = await orders
      .find(stuck, { attemptId: 1 })
      .limit(MAX_ALARMS)
      .lean<OrderFields[]>();
    raise(found.map(({ _id: orderId, attemptId }) => ({ orderId, attemptId })));
  };
}
