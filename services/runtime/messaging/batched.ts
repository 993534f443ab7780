/** An item that waits for its batch. */
interface Waiting<T> {
  item: T;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** As many as one consumer has in progress. */
const MAX_BATCH_SIZE = 64;

/**
 * Stores items that arrive at the same time in one write: while a batch is being stored, the next one
 * gathers, so no item waits for a timer. `store` must be idempotent. If a batch fails, each of its items is
 * stored alone and fails alone: one that cannot be stored does not stop the others, and its handler is
 * retried or becomes a dead letter by itself.
 */
export function batched<T>(
  store: (items: readonly T[]) => Promise<unknown>,
): (item: T) => Promise<void> {
  let waiting: Waiting<T>[] = [];
  let isStoring = false;

  async function storeAlone({ item, resolve, reject }: Waiting<T>): Promise<void> {
    await store([item]).then(resolve, reject);
  }

  async function storeBatch(batch: readonly Waiting<T>[]): Promise<void> {
    const [first] = batch;
    if (batch.length === 1 && first) return storeAlone(first);
    try {
      await store(batch.map(({ item }) => item));
    } catch {
      await Promise.all(batch.map(storeAlone));
      return;
    }
    for (const { resolve } of batch) resolve();
  }

  async function run(): Promise<void> {
    isStoring = true;
    await Promise.resolve(); // The messages of one network packet are received one after the other.
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_BATCH_SIZE);
      waiting = waiting.slice(MAX_BATCH_SIZE);
      await storeBatch(batch);
    }
    isStoring = false;
  }

  return (item) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    waiting.push({ item, resolve, reject });
    if (!isStoring) void run();
    return promise;
  };
}
