import { runWithoutDeadline } from "../call-deadline.ts";

/** How many lookups are answered by one read. */
const BATCH_SIZE = 128;

/**
 * Answers lookups that are made at the same time with one read. While a read is in progress, new lookups
 * wait for the next one, so each lookup is answered by a read that begins after it: as fresh as a read of
 * its own. Each caller gets all that was read, and picks its own part. The read has no deadline, because
 * it serves several calls; `read` limits its own time.
 */
export function batchedReads<K, R>(
  read: (keys: readonly K[]) => Promise<R>,
): (key: K) => Promise<R> {
  let running: Promise<unknown> = Promise.resolve();
  let next: { keys: K[]; result: Promise<R> } | undefined;

  function begin(): { keys: K[]; result: Promise<R> } {
    const keys: K[] = [];
    const result = running.then(() => {
      if (next === batch) next = undefined;
      return runWithoutDeadline(() => read(keys));
    });
    const batch = { keys, result };
    running = result.catch(() => undefined);
    return batch;
  }

  return (key) => {
    if (!next || next.keys.length >= BATCH_SIZE) next = begin();
    next.keys.push(key);
    return next.result;
  };
}
