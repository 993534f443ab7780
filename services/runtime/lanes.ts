/** Does one thing for one id at a time, and for several ids at once. */
export interface Lanes {
  /** Asks for work on an id; asked while it runs, it runs once more afterwards. */
  wake(id: string): void;
  /** Goes on with what waits: for when `ready` has become true. */
  next(): void;
  readonly busy: boolean;
  /** Resolves when everything asked for is done, or can no longer be. */
  drained(): Promise<void>;
}

interface Options {
  /** So many ids at once; the others wait here as ids only, which bounds the memory. */
  width: number;
  /** While it says no, nothing is begun. */
  ready?: () => boolean;
  onError: (error: unknown, id: string) => void;
}

export function lanes(work: (id: string) => Promise<void>, options: Options): Lanes {
  const { width, ready = () => true, onError } = options;
  const waiting = new Set<string>();
  const running = new Map<string, Promise<void>>();

  function begin(id: string): void {
    waiting.delete(id);
    const done = work(id)
      .catch((error: unknown) => onError(error, id))
      .finally(() => {
        running.delete(id);
        next();
      });
    running.set(id, done);
  }

  function next(): void {
    if (!ready()) return;
    for (const id of waiting) {
      if (running.size >= width) return;
      if (!running.has(id)) begin(id);
    }
  }

  return {
    wake(id) {
      waiting.add(id);
      next();
    },
    next,
    get busy() {
      return waiting.size > 0 || running.size > 0;
    },
    async drained() {
      while (running.size > 0 || (waiting.size > 0 && ready())) {
        next();
        await Promise.race(running.values());
      }
    },
  };
}
