import { lanes } from "#runtime/lanes.ts";
import { LIVE, type PaymentFields } from "./payment.ts";
import { settle, type SettleDeps } from "./settle.ts";

export interface Settler {
  /** Something happened outside that Stripe knows more of: ask it. */
  ask(orderId: string): void;
  /** Looks at every attempt that is not settled; what a crash or a lost webhook has left is among them. */
  reconcile(): Promise<void>;
  close(): Promise<void>;
}

const AGAIN_MS = 2_000;

/** Settles payments in the background: after every save, when told to ask, and again after a failure. */
export function startSettler(deps: SettleDeps): Settler {
  const { payments, log } = deps;
  const asked = new Set<string>();
  const retries = new Set<NodeJS.Timeout>();

  async function work(orderId: string): Promise<void> {
    await settle(deps, orderId, asked.delete(orderId));
  }

  function again(error: unknown, orderId: string): void {
    log.warn({ err: (error as Error).message, orderId }, "not settled yet; it is tried again");
    const timer = setTimeout(() => {
      retries.delete(timer);
      ask(orderId);
    }, AGAIN_MS);
    retries.add(timer);
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
      const open = payments.find({ "attempts.status": { $in: LIVE } }, { _id: 1 });
      for await (const { _id } of open.lean<Pick<PaymentFields, "_id">[]>().cursor()) ask(_id);
    },
    async close() {
      payments.events.off("saved", running.wake);
      for (const timer of retries) clearTimeout(timer);
      await running.drained();
    },
  };
}
