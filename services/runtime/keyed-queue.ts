import { withoutDeadline } from "./call-deadline.ts";

/**
 * Does one thing for one id at a time, and for several ids at once. What fails is tried again after
 * growing pauses, until it succeeds.
 */
export interface Lanes {
  /** Asks for work on an id, at once; asked while it runs, it runs once more afterwards. */
  wake(id: string): void;
  /** As `wake`, for work that can wait: all other work is begun before. */
  wakeLater(id: string): void;
  /** Goes on with what waits: for when `ready` has become true. */
  next(): void;
  /** Whether the id is being worked on, or will be by itself. */
  has(id: string): boolean;
  /** Resolves when a lane is free. */
  free(): Promise<void>;
  /** Resolves when work that can wait would be begun. */
  freeLater(): Promise<void>;
  /** Resolves when nothing runs or waits to; what pauses after a failure is not waited for. */
  idle(): Promise<void>;
  /** Resolves when all that was asked for has been tried, or can no longer be. Nothing is retried. */
  close(): Promise<void>;
}

interface Options {
  /** So many ids at once. */
  width: number;
  /** Of them, so many at most with work that can wait; all, where it is not given. */
  laterWidth?: number;
  /**
   * So many more may wait, and so many pause, as ids only. Those that come then are forgotten, so
   * whoever sets it looks for them elsewhere.
   */
  room?: number;
  /** While it says no, nothing is begun, and what fails is not to blame. */
  ready?: () => boolean;
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

export function lanes(
  work: (id: string, isLater: boolean) => Promise<void>,
  options: Options,
): Lanes {
  const { width, room = Infinity, ready = () => true, onError } = options;
  const { firstPauseMs = FIRST_PAUSE_MS, laterWidth = width } = options;
  const waiting = new Set<string>();
  const waitingLater = new Set<string>();
  const runningLater = new Set<string>();
  const running = new Map<string, Promise<void>>();
  const failed = new Map<string, Failed>();
  let closed = false;

  function pause(id: string, isLater: boolean): void {
    if (closed) return;
    const again = isLater ? wakeLater : wake;
    if (!ready()) return again(id);
    const times = (failed.get(id)?.times ?? 0) + 1;
    if (times === 1 && failed.size >= room) return;
    failed.set(id, { times, timer: setTimeout(again, pauseAfter(times, firstPauseMs), id) });
  }

  function begin(id: string, isLater: boolean): void {
    (isLater ? waitingLater : waiting).delete(id);
    if (isLater) runningLater.add(id);
    clearTimeout(failed.get(id)?.timer);
    // A call may have woken it; its deadline is not ours.
    const done = withoutDeadline(() => work(id, isLater))
      .then(
        () => void failed.delete(id),
        (error: unknown) => {
          onError(error, id);
          pause(id, isLater);
        },
      )
      .finally(() => {
        running.delete(id);
        runningLater.delete(id);
        next();
      });
    running.set(id, done);
  }

  function wake(id: string): void {
    if (waiting.size >= room) return forget(id);
    waiting.add(id);
    next();
  }

  function wakeLater(id: string): void {
    if (waitingLater.size >= room) return forget(id);
    waitingLater.add(id);
    next();
  }

  /** Entirely, with the pause that it may be in: then `has` says no, and whoever sets it looks for it. */
  function forget(id: string): void {
    if (waiting.has(id) || waitingLater.has(id)) return;
    clearTimeout(failed.get(id)?.timer);
    failed.delete(id);
  }

  function next(): void {
    if (!ready()) return;
    for (const id of waiting) {
      if (running.size >= width) return;
      if (!running.has(id)) begin(id, false);
    }
    for (const id of waitingLater) {
      if (isFull()) return;
      if (!running.has(id)) begin(id, true);
    }
  }

  const isFull = (): boolean => running.size >= width || runningLater.size >= laterWidth;
  const isWaiting = (): boolean => waiting.size > 0 || waitingLater.size > 0;

  return {
    wake,
    wakeLater,
    next,
    has: (id) => waiting.has(id) || waitingLater.has(id) || running.has(id) || failed.has(id),
    async free() {
      while (running.size >= width) await Promise.race(running.values());
    },
    async freeLater() {
      while (isFull() || waitingLater.size > 0) await Promise.race(running.values());
    },
    async idle() {
      while (running.size > 0) await Promise.race(running.values());
    },
    async close() {
      closed = true;
      for (const { timer } of failed.values()) clearTimeout(timer);
      while (running.size > 0 || (isWaiting() && ready())) {
        next();
        await Promise.race(running.values());
      }
    },
  };
}
