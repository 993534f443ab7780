import { alarm } from "#runtime/alarm.ts";
import type { Log } from "#runtime/log.ts";
import type { OrderFields, Orders } from "./order.ts";

interface Deps {
  orders: Orders;
  now: () => number;
  log: Log;
}

/** Money that was authorized is taken within a second, unless something is wrong. */
const TOO_LONG_MS = 5 * 60_000;
/** So many at a time; where more are stuck, these say enough. */
const MOST = 100;

/**
 * Raises an alarm over orders that have awaited their money for too long. Nothing ends them by itself:
 * the money may have been taken, and only payments and Stripe know.
 */
export function stuckOrders({ orders, now, log }: Deps): () => Promise<void> {
  const raise = alarm({ log, now, words: "an order awaits its money for too long" });
  return async () => {
    const since = new Date(now() - TOO_LONG_MS);
    const stuck = { status: "AWAITING_PAYMENT" as const, updateTime: { $lte: since } };
    const found = await orders.find(stuck, { attemptId: 1 }).limit(MOST).lean<OrderFields[]>();
    raise(found.map(({ _id: orderId, attemptId }) => ({ orderId, attemptId })));
  };
}
