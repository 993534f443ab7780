import type Stripe from "stripe";
import { keyedQueue, type KeyedQueue } from "#runtime/keyed-queue.ts";
import type { PaymentDeps } from "../deps.ts";
import { UNSETTLED, type PaymentFields } from "../payment.ts";
import type { RequestPace } from "../stripe/request-pace.ts";
import { claimPoll, isDecided, isDue } from "./poll-claim.ts";
import { settlePayment } from "./settlement.ts";

export interface SettlementWorker {
  /** Settles a payment that was saved, if its next step is decided. */
  enqueue(this: void, orderId: string, events: unknown, saved: PaymentFields): void;
  /** Asks Stripe for a payment's state. `eventId` is the webhook event that gave the reason. */
  enqueuePoll(orderId: string, eventId?: string): void;
  /** Settles every unsettled payment that is due, also those left by a crash or a lost webhook. */
  reconcile(): Promise<void>;
  /** Resolves when no payment is being settled. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

export interface SettlementOptions {
  firstPauseMs?: number;
  /** Called with the webhook events that led to a poll, once the poll's result is stored. */
  markHandled?: (eventIds: string[]) => Promise<unknown>;
  /** The Stripe client for polls, with a rate limit of its own. Without it, polls use the same client. */
  lowPriority?: { stripe: Stripe; pace: Pick<RequestPace, "isPaused"> };
}

type OnError = (error: unknown, orderId: string) => void;

/** How many payments are settled at once, and how many of these may be polls. */
const CONCURRENCY = 16;
const POLL_CONCURRENCY = 8;

/** The payments to poll, each with the webhook events that gave the reason. */
function pollReasons() {
  const reasons = new Map<string, ReadonlySet<string>>();
  return {
    add(orderId: string, eventIds: Iterable<string>): void {
      reasons.set(orderId, new Set([...(reasons.get(orderId) ?? []), ...eventIds]));
    },
    take(orderId: string): string[] {
      const eventIds = [...(reasons.get(orderId) ?? [])];
      reasons.delete(orderId);
      return eventIds;
    },
  };
}

/** Polls a payment, and marks the webhook events that led to it as handled. */
function pollWith(
  deps: PaymentDeps,
  reasons: ReturnType<typeof pollReasons>,
  { onError, markHandled }: Pick<SettlementOptions, "markHandled"> & { onError: OnError },
) {
  return async (orderId: string): Promise<void> => {
    const eventIds = reasons.take(orderId);
    try {
      await settlePayment(deps, orderId, true);
      if (eventIds.length > 0) await markHandled?.(eventIds);
    } catch (error) {
      // Some instance polls it again in any case, but the webhook events must not get lost.
      if (eventIds.length === 0) return onError(error, orderId);
      reasons.add(orderId, eventIds);
      throw error;
    }
  };
}

/** Settles or polls one payment, unless another instance has claimed it. */
async function claimAndEnqueue(
  { payments, now }: PaymentDeps,
  queue: KeyedQueue,
  enqueuePoll: (orderId: string) => void,
  payment: PaymentFields,
): Promise<void> {
  const { _id, poll } = payment;
  const isKnown = isDecided(payment);
  const isPolled = poll !== undefined && poll.time.getTime() > now();
  if ((!isKnown && isPolled) || (isKnown && queue.has(_id))) return;
  // A claim expires, so it is made only when the poll can start.
  if (!isKnown) await queue.untilFreeForLowPriority();
  if (!(await claimPoll(payments, payment, now(), isKnown))) return;
  if (isKnown) queue.enqueue(_id);
  else enqueuePoll(_id);
}

/**
 * Settles payments in the background. Decided work (captures, voids, refunds) starts at once after
 * every save, and is retried with backoff. Polls of Stripe have low priority and fewer slots.
 */
export function startSettlementWorker(
  deps: PaymentDeps,
  options: SettlementOptions = {},
): SettlementWorker {
  const { payments, log, now } = deps;
  const { firstPauseMs, markHandled, lowPriority } = options;
  const pollDeps = { ...deps, ...(lowPriority && { stripe: lowPriority.stripe }) };
  const reasons = pollReasons();
  let closed = false;

  const onError = (error: unknown, orderId: string): void =>
    log.warn({ err: (error as Error).message, orderId }, "a payment is not settled yet; retrying");
  const poll = pollWith(pollDeps, reasons, { onError, ...(markHandled && { markHandled }) });

  const queue = keyedQueue(
    (orderId, isPoll) => (isPoll ? poll(orderId) : settlePayment(deps, orderId, false)),
    {
      concurrency: CONCURRENCY,
      lowPriorityConcurrency: POLL_CONCURRENCY,
      onError,
      ...(firstPauseMs !== undefined && { firstPauseMs }),
    },
  );

  function enqueuePoll(orderId: string, eventId?: string): void {
    reasons.add(orderId, eventId === undefined ? [] : [eventId]);
    queue.enqueueLowPriority(orderId);
  }

  const claim = claimAndEnqueue.bind(undefined, deps, queue, enqueuePoll);

  return {
    enqueue: (orderId, _, saved) => {
      if (!closed && isDecided(saved)) queue.enqueue(orderId);
    },
    enqueuePoll,
    async reconcile() {
      const due = { $and: [UNSETTLED, isDue(now())] };
      const unsettled = payments.find(due, { outbox: 0 }).lean<PaymentFields[]>().cursor();
      for await (const payment of unsettled as AsyncIterable<PaymentFields>) {
        if (closed) return;
        // Decided work continues; polls wait while Stripe's rate limit has paused them.
        if (isDecided(payment) || !lowPriority?.pace.isPaused()) await claim(payment);
      }
    },
    idle: () => queue.untilIdle(),
    async close() {
      closed = true;
      await queue.close();
    },
  };
}
