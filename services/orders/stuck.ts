import type { Log } from "#runtime/log.ts";
import type { OrderFields, Orders } from "./order.ts";

interface Deps {
  orders: Orders;
  now: () => number;
  log: Log;
}

/** Money that was authorized is taken within a second, unless something is wrong. */
const TOO_LONG_MS = 5 * 60_000;
/** What is still wrong is said again after so long. */
const AGAIN_MS = 60 * 60_000;
/** So many at a time; where more are stuck, these say enough. */
const MOST = 100;

/**
 * Raises an alarm over orders that have awaited their money for too long. Nothing ends them by itself:
 * the money may have been taken, and only payments and Stripe know.
 */
export function stuckOrders({ orders, now, log }: Deps): () => Promise<void> {
  const told = new Map<string, number>();
  return async () => {
    const stuck = {
      status: "AWAITING_PAYMENT" as const,
      updateTime: { $lte: new Date(now() - TOO_LONG_MS) },
    };
    const found = await orders.find(stuck, { attemptId: 1 }).limit(MOST).lean<OrderFields[]>();
    for (const [id, at] of told) if (now() - at >= AGAIN_MS) told.delete(id);
    for (const { _id: orderId, attemptId } of found) {
      if (told.has(orderId)) continue;
      told.set(orderId, now());
      log.error({ alarm: true, orderId, attemptId }, "an order awaits its money for too long");
    }
  };
}
