import { runWithoutDeadline } from "./call-deadline.ts";

/**
 * Runs a job per ID: one at a time for each ID, several IDs at once. A job that fails is retried with
 * backoff until it succeeds.
 */
export interface KeyedQueue {
  /** Starts a job for the ID as soon as possible. If one is running, another one follows it. */
  enqueue(id: string): void;
  /** As `enqueue`, but every job of normal priority starts first. */
  enqueueLowPriority(id: string): void;
  /** Starts waiting jobs. To be called when `isReady` has become true. */
  resume(): void;
  /** Whether a job for the ID runs, waits or will be retried. */
  has(id: string): boolean;
  /** Resolves when a job could start at once. */
  untilFree(): Promise<void>;
  /** Resolves when a job of low priority could start at once. */
  untilFreeForLowPriority(): Promise<void>;
  /** Resolves when no job runs. Retries that are due later are not awaited. */
  untilIdle(): Promise<void>;
  /** Resolves when every waiting job has run once or can no longer run. Nothing is retried. */
  close(): Promise<void>;
}

interface Options {
  /** How many jobs run at once. */
  concurrency: number;
  /** How many of them may have low priority. The default is all. */
  lowPriorityConcurrency?: number;
  /**
   * How many IDs may wait, and how many may await a retry. Others are dropped, so the caller must be
   * able to find them again.
   */
  capacity?: number;
  /** While it returns false, no job starts, and failures do not count. */
  isReady?: () => boolean;
  /** The delay after the first failure, in milliseconds. It doubles with each further failure. */
  firstPauseMs?: number;
  onError: (error: unknown, id: string) => void;
}

type Job = (id: string, isLowPriority: boolean) => Promise<void>;

interface Failure {
  times: number;
  timer?: NodeJS.Timeout;
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** Exponential backoff with jitter, so that jobs that failed together are retried apart. */
const pauseAfter = (failures: number, firstMs: number): number =>
  Math.min(firstMs * 2 ** (failures - 1), LONGEST_PAUSE_MS) * (0.8 + 0.2 * Math.random());

export const keyedQueue = (job: Job, options: Options): KeyedQueue => new Queue(job, options);

class Queue implements KeyedQueue {
  readonly #job: Job;
  readonly #options: Required<Options>;
  readonly #waiting = new Set<string>();
  readonly #waitingLowPriority = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #runningLowPriority = new Set<string>();
  readonly #failures = new Map<string, Failure>();
  #closed = false;

  constructor(job: Job, options: Options) {
    this.#job = job;
    this.#options = {
      lowPriorityConcurrency: options.concurrency,
      capacity: Infinity,
      isReady: () => true,
      firstPauseMs: FIRST_PAUSE_MS,
      ...options,
    };
  }

  enqueue(id: string): void {
    this.#add(this.#waiting, id);
  }

  enqueueLowPriority(id: string): void {
    this.#add(this.#waitingLowPriority, id);
  }

  resume(): void {
    if (!this.#options.isReady()) return;
    for (const id of this.#waiting) {
      if (this.#running.size >= this.#options.concurrency) return;
      if (!this.#running.has(id)) this.#start(id, false);
    }
    for (const id of this.#waitingLowPriority) {
      if (this.#isFullForLowPriority()) return;
      if (!this.#running.has(id)) this.#start(id, true);
    }
  }

  has(id: string): boolean {
    return this.#isWaiting(id) || this.#running.has(id) || this.#failures.has(id);
  }

  async untilFree(): Promise<void> {
    while (this.#running.size >= this.#options.concurrency) await this.#nextEnd();
  }

  async untilFreeForLowPriority(): Promise<void> {
    while (this.#isFullForLowPriority() || this.#waitingLowPriority.size > 0) await this.#nextEnd();
  }

  async untilIdle(): Promise<void> {
    while (this.#running.size > 0) await this.#nextEnd();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { timer } of this.#failures.values()) clearTimeout(timer);
    const canStart = (): boolean =>
      this.#waiting.size + this.#waitingLowPriority.size > 0 && this.#options.isReady();
    while (this.#running.size > 0 || canStart()) {
      this.resume();
      await this.#nextEnd();
    }
  }

  #add(waiting: Set<string>, id: string): void {
    if (waiting.size >= this.#options.capacity) return this.#drop(id);
    waiting.add(id);
    this.resume();
  }

  /** Also drops a pending retry: then `has` returns false, and the caller can find the ID again. */
  #drop(id: string): void {
    if (this.#isWaiting(id)) return;
    clearTimeout(this.#failures.get(id)?.timer);
    this.#failures.delete(id);
  }

  #start(id: string, isLowPriority: boolean): void {
    (isLowPriority ? this.#waitingLowPriority : this.#waiting).delete(id);
    if (isLowPriority) this.#runningLowPriority.add(id);
    clearTimeout(this.#failures.get(id)?.timer);
    // A call may have enqueued the job. The deadline of that call does not apply to it.
    const done = runWithoutDeadline(() => this.#job(id, isLowPriority))
      .then(
        () => void this.#failures.delete(id),
        (error: unknown) => {
          this.#options.onError(error, id);
          this.#retryLater(id, isLowPriority);
        },
      )
      .finally(() => {
        this.#running.delete(id);
        this.#runningLowPriority.delete(id);
        this.resume();
      });
    this.#running.set(id, done);
  }

  #retryLater(id: string, isLowPriority: boolean): void {
    if (this.#closed) return;
    const { isReady, capacity, firstPauseMs } = this.#options;
    const retry = (): void => (isLowPriority ? this.enqueueLowPriority(id) : this.enqueue(id));
    if (!isReady()) return retry();
    const times = (this.#failures.get(id)?.times ?? 0) + 1;
    if (times === 1 && this.#failures.size >= capacity) return;
    this.#failures.set(id, { times, timer: setTimeout(retry, pauseAfter(times, firstPauseMs)) });
  }

  #isWaiting(id: string): boolean {
    return this.#waiting.has(id) || this.#waitingLowPriority.has(id);
  }

  #isFullForLowPriority(): boolean {
    const { concurrency, lowPriorityConcurrency } = this.#options;
    const isFull = this.#running.size >= concurrency;
    return isFull || this.#runningLowPriority.size >= lowPriorityConcurrency;
  }

  async #nextEnd(): Promise<void> {
    await Promise.race(this.#running.values());
  }
}
