/** Exponential backoff per id, bounded in memory. */
export interface Backoff {
  /** Whether the id failed recently and is not due yet. */
  isResting(id: string): boolean;
  failed(id: string): void;
  succeeded(id: string): void;
}

interface Options {
  /**
   * The maximum number of IDs. An ID that does not fit has no delay, which is safe but causes more attempts.
   */
  capacity: number;
  firstPauseMs?: number;
  longestPauseMs?: number;
  now?: () => number;
}

export function backoff(options: Options): Backoff {
  const { capacity, firstPauseMs = 1_000, longestPauseMs = 60_000, now = Date.now } = options;
  const failures = new Map<string, { times: number; until: number }>();
  return {
    isResting: (id) => (failures.get(id)?.until ?? 0) > now(),
    failed(id) {
      const times = (failures.get(id)?.times ?? 0) + 1;
      if (times === 1 && failures.size >= capacity) return;
      const pause = Math.min(firstPauseMs * 2 ** (times - 1), longestPauseMs);
      // Jitter, so that IDs that failed together are retried apart.
      failures.set(id, { times, until: now() + pause * (0.8 + 0.2 * Math.random()) });
    },
    succeeded: (id) => void failures.delete(id),
  };
}
