import { lanes } from "#runtime/lanes.ts";
import { UNSETTLED, type PaymentFields } from "./payment.ts";
import { settle, type SettleDeps } from "./settle.ts";

export interface Settler {
  /** Something happened outside that Stripe knows more of: ask it. */
  ask(orderId: string): void;
  /** Looks at every payment that is not settled; what a crash or a lost webhook has left is among them. */
  reconcile(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Settles payments in the background: after every save, when told to ask, and again after a failure,
 * with growing pauses.
 */
export function startSettler(deps: SettleDeps, firstPauseMs?: number): Settler {
  const { payments, log } = deps;
  const asked = new Set<string>();
  const running = lanes((orderId) => settle(deps, orderId, asked.delete(orderId)), {
    width: 16,
    ...(firstPauseMs !== undefined && { firstPauseMs }),
    onError(error, orderId) {
      log.warn({ err: (error as Error).message, orderId }, "not settled yet; it is tried again");
      asked.add(orderId);
    },
  });

  function ask(orderId: string): void {
    asked.add(orderId);
    running.wake(orderId);
  }

  payments.events.on("saved", running.wake);
  return {
    ask,
    async reconcile() {
      const open = payments.find(UNSETTLED, { _id: 1 });
      for await (const { _id } of open.lean<Pick<PaymentFields, "_id">[]>().cursor()) ask(_id);
    },
    async close() {
      payments.events.off("saved", running.wake);
      await running.close();
    },
  };
}
