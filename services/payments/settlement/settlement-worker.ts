import type Stripe from "stripe";
import { keyedQueue } from "#runtime/keyed-queue.ts";
import { UNSETTLED, type PaymentFields } from "../payment.ts";
import { claimPoll, isDecided, isDue } from "./poll-claim.ts";
import { settlePayment } from "./settlement.ts";
import type { PaymentDeps } from "../deps.ts";
import type { RequestPace } from "../stripe/request-pace.ts";

export interface SettlementWorker {
  /** Settles a payment that was saved, if anything about it is decided. */
  enqueue(this: void, orderId: string): void;
  /** Something happened outside that Stripe knows more of: ask it. `eventId` is the webhook that says so. */
  enqueuePoll(orderId: string, eventId?: string): void;
  /**
   * Looks at every payment that is not settled and is due; what a crash or a lost webhook has left is
   * among them.
   */
  reconcile(): Promise<void>;
  /** Resolves when nothing is being settled. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

export interface SettlementOptions {
  firstPauseMs?: number;
  /** Is told of the webhooks because of which Stripe was asked, once what it answered is stored. */
  markHandled?: (eventIds: string[]) => Promise<unknown>;
  /** Stripe for what can wait, at a pace that leaves room for all else; the same where not given. */
  lowPriority?: { stripe: Stripe; pace: Pick<RequestPace, "isPaused"> };
}

/** So many payments are settled at once, and of them so many at most only to find out how they are. */
const WIDTH = 16;
const POLLS = 8;

/**
 * Settles payments in the background. What is decided (to take money, to give it up or back) is done at
 * once, after every save, and again after a failure, with growing pauses. To ask Stripe how a payment
 * is comes after that, and has less room.
 */
export function startSettlementWorker(
  deps: PaymentDeps,
  options: SettlementOptions = {},
): SettlementWorker {
  const { payments, log, now } = deps;
  const { firstPauseMs, markHandled: handled, lowPriority: patient } = options;
  const patientDeps = { ...deps, ...(patient && { stripe: patient.stripe }) };
  /** Where Stripe is to be asked, and because of which webhooks. */
  const asked = new Map<string, Set<string>>();
  let closed = false;

  const onError = (error: unknown, orderId: string): void =>
    log.warn({ err: (error as Error).message, orderId }, "not settled yet; it is tried again");

  function keep(orderId: string, eventIds: Iterable<string>): void {
    asked.set(orderId, new Set([...(asked.get(orderId) ?? []), ...eventIds]));
  }

  async function poll(orderId: string): Promise<void> {
    const because = asked.get(orderId) ?? new Set();
    asked.delete(orderId);
    try {
      await settlePayment(patientDeps, orderId, true);
      if (because.size > 0) await handled?.([...because]);
    } catch (error) {
      // The next poll comes by itself, from whichever instance; what Stripe has told us does not.
      if (because.size === 0) return onError(error, orderId);
      keep(orderId, because);
      throw error;
    }
  }

  const running = keyedQueue(
    (orderId, isPoll) => (isPoll ? poll(orderId) : settlePayment(deps, orderId, false)),
    {
      ...{ concurrency: WIDTH, lowPriorityConcurrency: POLLS, onError },
      ...(firstPauseMs !== undefined && { firstPauseMs }),
    },
  );

  function ask(orderId: string, eventId?: string): void {
    keep(orderId, eventId === undefined ? [] : [eventId]);
    running.enqueueLowPriority(orderId);
  }

  /** Takes up one that is due, unless another instance has. */
  async function take(payment: PaymentFields): Promise<void> {
    const { _id, poll } = payment;
    const isKnown = isDecided(payment);
    const isPolled = poll !== undefined && poll.time.getTime() > now();
    if ((!isKnown && isPolled) || (isKnown && running.has(_id))) return;
    if (!isKnown) await running.untilFreeForLowPriority(); // Not before it is its turn: it is claimed for a while only.
    if (!(await claimPoll(payments, payment, now(), isKnown))) return;
    if (isKnown) running.enqueue(_id);
    else ask(_id);
  }

  return {
    enqueue: (orderId) => {
      if (!closed) running.enqueue(orderId);
    },
    enqueuePoll: ask,
    async reconcile() {
      const due = { $and: [UNSETTLED, isDue(now())] };
      const open = payments.find(due, { outbox: 0 }).lean<PaymentFields[]>().cursor();
      for await (const payment of open as AsyncIterable<PaymentFields>) {
        if (closed) return;
        // What is decided goes on; Stripe is asked when it wants to be.
        if (isDecided(payment) || !patient?.pace.isPaused()) await take(payment);
      }
    },
    idle: () => running.untilIdle(),
    async close() {
      closed = true;
      await running.close();
    },
  };
}
