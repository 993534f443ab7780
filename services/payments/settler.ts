import { lanes } from "#runtime/lanes.ts";
import { UNSETTLED, type PaymentFields } from "./payment.ts";
import { settle } from "./settle.ts";
import type { SettleDeps } from "./settle-deps.ts";

export interface Settler {
  /** Something happened outside that Stripe knows more of: ask it. `eventId` is the webhook that says so. */
  ask(orderId: string, eventId?: string): void;
  /** Looks at every payment that is not settled; what a crash or a lost webhook has left is among them. */
  reconcile(): Promise<void>;
  close(): Promise<void>;
}

interface Options {
  firstPauseMs?: number;
  /** Is told of the webhooks because of which Stripe was asked, once what it answered is stored. */
  handled?: (eventIds: string[]) => Promise<unknown>;
}

/**
 * Settles payments in the background: after every save, when told to ask, and again after a failure,
 * with growing pauses.
 */
export function startSettler(deps: SettleDeps, { firstPauseMs, handled }: Options = {}): Settler {
  const { payments, log } = deps;
  /** Where Stripe is to be asked, and because of which webhooks. */
  const asked = new Map<string, Set<string>>();

  function keep(orderId: string, eventIds: Iterable<string>): void {
    asked.set(orderId, new Set([...(asked.get(orderId) ?? []), ...eventIds]));
  }

  async function work(orderId: string): Promise<void> {
    const because = asked.get(orderId);
    asked.delete(orderId);
    try {
      await settle(deps, orderId, because !== undefined);
      if (because?.size) await handled?.([...because]);
    } catch (error) {
      keep(orderId, because ?? []);
      throw error;
    }
  }

  const running = lanes(work, {
    width: 16,
    ...(firstPauseMs !== undefined && { firstPauseMs }),
    onError(error, orderId) {
      log.warn({ err: (error as Error).message, orderId }, "not settled yet; it is tried again");
    },
  });

  function ask(orderId: string, eventId?: string): void {
    keep(orderId, eventId === undefined ? [] : [eventId]);
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
