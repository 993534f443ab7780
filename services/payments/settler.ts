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

const LONGEST_PAUSE_MS = 60_000;

/**
 * Settles payments in the background: after every save, when told to ask, and again after a failure,
 * with growing pauses.
 */
export function startSettler(deps: SettleDeps, firstPauseMs = 1_000): Settler {
  const { payments, log } = deps;
  const asked = new Set<string>();
  const failures = new Map<string, number>();
  const retries = new Map<string, NodeJS.Timeout>();
  let closed = false;

  async function work(orderId: string): Promise<void> {
    await settle(deps, orderId, asked.delete(orderId));
    failures.delete(orderId);
  }

  function again(error: unknown, orderId: string): void {
    log.warn({ err: (error as Error).message, orderId }, "not settled yet; it is tried again");
    const before = failures.get(orderId) ?? 0;
    failures.set(orderId, before + 1);
    // One at a time: the reconciler asks too, and would begin another row of retries each time.
    if (closed || retries.has(orderId)) return;
    const retry = (): void => {
      retries.delete(orderId);
      ask(orderId);
    };
    const pause = Math.min(firstPauseMs * 2 ** before, LONGEST_PAUSE_MS);
    retries.set(orderId, setTimeout(retry, pause));
  }

  const running = lanes(work, { width: 16, onError: again });

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
      closed = true;
      payments.events.off("saved", running.wake);
      for (const timer of retries.values()) clearTimeout(timer);
      await running.drained();
    },
  };
}
