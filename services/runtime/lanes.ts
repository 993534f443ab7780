/**
 * Does one thing for one id at a time, and for several ids at once. What fails is tried again after
 * growing pauses, until it succeeds.
 */
export interface Lanes {
  /** Asks for work on an id, at once; asked while it runs, it runs once more afterwards. */
  wake(id: string): void;
  /** Goes on with what waits: for when `ready` has become true. */
  next(): void;
  /** Whether the id is being worked on, or will be by itself. */
  has(id: string): boolean;
  /** Resolves when a lane is free. */
  free(): Promise<void>;
  /** Resolves when all that was asked for has been tried, or can no longer be. Nothing is retried. */
  close(): Promise<void>;
}

interface Options {
  /** So many ids at once. */
  width: number;
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

export function lanes(work: (id: string) => Promise<void>, options: Options): Lanes {
  const { width, room = Infinity, ready = () => true, onError } = options;
  const { firstPauseMs = FIRST_PAUSE_MS } = options;
  const waiting = new Set<string>();
  const running = new Map<string, Promise<void>>();
  const failed = new Map<string, Failed>();
  let closed = false;

  function pause(id: string): void {
    if (closed) return;
    if (!ready()) return wake(id);
    const times = (failed.get(id)?.times ?? 0) + 1;
    if (times === 1 && failed.size >= room) return;
    failed.set(id, { times, timer: setTimeout(wake, pauseAfter(times, firstPauseMs), id) });
  }

  function begin(id: string): void {
    waiting.delete(id);
    clearTimeout(failed.get(id)?.timer);
    const done = work(id)
      .then(
        () => void failed.delete(id),
        (error: unknown) => {
          onError(error, id);
          pause(id);
        },
      )
      .finally(() => {
        running.delete(id);
        next();
      });
    running.set(id, done);
  }

  function wake(id: string): void {
    if (waiting.size >= room) return forget(id);
    waiting.add(id);
    next();
  }

  /** Entirely, with the pause that it may be in: then `has` says no, and whoever sets it looks for it. */
  function forget(id: string): void {
    if (waiting.has(id)) return;
    clearTimeout(failed.get(id)?.timer);
    failed.delete(id);
  }

  function next(): void {
    if (!ready()) return;
    for (const id of waiting) {
      if (running.size >= width) return;
      if (!running.has(id)) begin(id);
    }
  }

  return {
    wake,
    next,
    has: (id) => waiting.has(id) || running.has(id) || failed.has(id),
    async free() {
      while (running.size >= width) await Promise.race(running.values());
    },
    async close() {
      closed = true;
      for (const { timer } of failed.values()) clearTimeout(timer);
      while (running.size > 0 || (waiting.size > 0 && ready())) {
        next();
        await Promise.race(running.values());
      }
    },
  };
}
