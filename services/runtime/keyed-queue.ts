import { runWithoutDeadline } from "./call-deadline.ts";

/**
 * Does one thing for one id at a time, and for several ids at once. What fails is tried again after
 * growing pauses, until it succeeds.
 */
export interface KeyedQueue {
  /** Asks for work on an id, at once; asked while it runs, it runs once more afterwards. */
  enqueue(id: string): void;
  /** As `enqueue`, for work that can wait: all other work is begun before. */
  enqueueLowPriority(id: string): void;
  /** Goes on with what waits: for when `ready` has become true. */
  resume(): void;
  /** Whether the id is being worked on, or will be by itself. */
  has(id: string): boolean;
  /** Resolves when a lane is free. */
  untilFree(): Promise<void>;
  /** Resolves when work that can wait would be begun. */
  untilFreeForLowPriority(): Promise<void>;
  /** Resolves when nothing runs or waits to; what pauses after a failure is not waited for. */
  untilIdle(): Promise<void>;
  /** Resolves when all that was asked for has been tried, or can no longer be. Nothing is retried. */
  close(): Promise<void>;
}

interface Options {
  /** So many ids at once. */
  concurrency: number;
  /** Of them, so many at most with work that can wait; all, where it is not given. */
  lowPriorityConcurrency?: number;
  /**
   * So many more may wait, and so many pause, as ids only. Those that come then are forgotten, so
   * whoever sets it looks for them elsewhere.
   */
  capacity?: number;
  /** While it says no, nothing is begun, and what fails is not to blame. */
  isReady?: () => boolean;
  /** The pause after the first failure, in milliseconds; it doubles with each one more. */
  firstPauseMs?: number;
  onError: (error: unknown, id: string) => void;
}

interface Failed {
  times: number;
  timer?: NodeJS.Timeout;
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** Doubled each time, up to a minute, and spread: those that failed together come back apart. */
const pauseAfter = (failures: number, firstMs: number): number =>
  Math.min(firstMs * 2 ** (failures - 1), LONGEST_PAUSE_MS) * (0.8 + 0.2 * Math.random());

export function keyedQueue(
  work: (id: string, isLowPriority: boolean) => Promise<void>,
  options: Options,
): KeyedQueue {
  const { concurrency, capacity = Infinity, isReady = () => true, onError } = options;
  const { firstPauseMs = FIRST_PAUSE_MS, lowPriorityConcurrency = concurrency } = options;
  const waiting = new Set<string>();
  const waitingLowPriority = new Set<string>();
  const runningLowPriority = new Set<string>();
  const running = new Map<string, Promise<void>>();
  const failed = new Map<string, Failed>();
  let closed = false;

  function pause(id: string, isLowPriority: boolean): void {
    if (closed) return;
    const again = isLowPriority ? enqueueLowPriority : enqueue;
    if (!isReady()) return again(id);
    const times = (failed.get(id)?.times ?? 0) + 1;
    if (times === 1 && failed.size >= capacity) return;
    failed.set(id, { times, timer: setTimeout(again, pauseAfter(times, firstPauseMs), id) });
  }

  function begin(id: string, isLowPriority: boolean): void {
    (isLowPriority ? waitingLowPriority : waiting).delete(id);
    if (isLowPriority) runningLowPriority.add(id);
    clearTimeout(failed.get(id)?.timer);
    // A call may have woken it; its deadline is not ours.
    const done = runWithoutDeadline(() => work(id, isLowPriority))
      .then(
        () => void failed.delete(id),
        (error: unknown) => {
          onError(error, id);
          pause(id, isLowPriority);
        },
      )
      .finally(() => {
        running.delete(id);
        runningLowPriority.delete(id);
        resume();
      });
    running.set(id, done);
  }

  function enqueue(id: string): void {
    if (waiting.size >= capacity) return forget(id);
    waiting.add(id);
    resume();
  }

  function enqueueLowPriority(id: string): void {
    if (waitingLowPriority.size >= capacity) return forget(id);
    waitingLowPriority.add(id);
    resume();
  }

  /** Entirely, with the pause that it may be in: then `has` says no, and whoever sets it looks for it. */
  function forget(id: string): void {
    if (waiting.has(id) || waitingLowPriority.has(id)) return;
    clearTimeout(failed.get(id)?.timer);
    failed.delete(id);
  }

  function resume(): void {
    if (!isReady()) return;
    for (const id of waiting) {
      if (running.size >= concurrency) return;
      if (!running.has(id)) begin(id, false);
    }
    for (const id of waitingLowPriority) {
      if (isFull()) return;
      if (!running.has(id)) begin(id, true);
    }
  }

  const isFull = (): boolean =>
    running.size >= concurrency || runningLowPriority.size >= lowPriorityConcurrency;
  const isWaiting = (): boolean => waiting.size > 0 || waitingLowPriority.size > 0;

  return {
    enqueue,
    enqueueLowPriority,
    resume,
    has: (id) => waiting.has(id) || waitingLowPriority.has(id) || running.has(id) || failed.has(id),
    async untilFree() {
      while (running.size >= concurrency) await Promise.race(running.values());
    },
    async untilFreeForLowPriority() {
      while (isFull() || waitingLowPriority.size > 0) await Promise.race(running.values());
    },
    async untilIdle() {
      while (running.size > 0) await Promise.race(running.values());
    },
    async close() {
      closed = true;
      for (const { timer } of failed.values()) clearTimeout(timer);
      while (running.size > 0 || (isWaiting() && isReady())) {
        resume();
        await Promise.race(running.values());
      }
    },
  };
}
