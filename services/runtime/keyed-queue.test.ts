import { describe, expect, it, onTestFinished } from "vitest";
import { keyedQueue, type KeyedQueue } from "./keyed-queue.ts";
import { eventually } from "./testing/eventually.ts";

/** Work that ends when the test settles it. */
function work(
  options: {
    concurrency?: number;
    lowPriorityConcurrency?: number;
    capacity?: number;
    isReady?: () => boolean;
  } = {},
) {
  const begun: string[] = [];
  const failed: string[] = [];
  const open = new Map<string, PromiseWithResolvers<void>>();
  const made: KeyedQueue = keyedQueue(
    (id) => {
      begun.push(id);
      const done = Promise.withResolvers<void>();
      open.set(id, done);
      return done.promise;
    },
    { concurrency: 2, firstPauseMs: 20, onError: (_, id) => failed.push(id), ...options },
  );
  const settle = async (id: string, error?: Error): Promise<void> => {
    const done = await eventually(() => open.get(id), `work on ${id}`);
    open.delete(id);
    if (error) done.reject(error);
    else done.resolve();
  };
  onTestFinished(() => {
    for (const { resolve } of open.values()) resolve();
  });
  return { queue: made, begun, failed, settle };
}

describe("a keyed queue", () => {
  it("starts jobs immediately, up to the concurrency limit", async () => {
    const { queue, begun, settle } = work();
    for (const id of ["a", "b", "c"]) queue.enqueue(id);
    expect(begun).toEqual(["a", "b"]);
    await settle("a");
    await eventually(() => begun.length === 3, "the third job");
    expect(begun).toEqual(["a", "b", "c"]);
  });

  it("runs one job per ID at a time, and once more if it was enqueued meanwhile", async () => {
    const { queue, begun, settle } = work();
    for (let i = 0; i < 5; i += 1) queue.enqueue("a");
    expect(begun).toEqual(["a"]);
    await settle("a");
    await eventually(() => begun.length === 2, "the second run");
    await settle("a");
    await eventually(() => !queue.has("a"), "the end of the job");
    expect(begun).toEqual(["a", "a"]);
  });

  it("retries a failed job until it succeeds", async () => {
    const { queue, begun, failed, settle } = work();
    queue.enqueue("a");
    for (let i = 0; i < 3; i += 1) await settle("a", new Error("not yet"));
    await settle("a");
    await eventually(() => !queue.has("a"), "the end of the job");
    expect(begun).toHaveLength(4);
    expect(failed).toEqual(["a", "a", "a"]);
  });

  it("keeps no more IDs than its capacity", () => {
    const { queue, begun } = work({ concurrency: 1, capacity: 10, isReady: () => false });
    for (let i = 0; i < 1_000; i += 1) queue.enqueue(`${i}`);
    const known = Array.from({ length: 1_000 }, (_, i) => queue.has(`${i}`)).filter(Boolean);
    expect(known).toHaveLength(10);
    expect(begun).toEqual([]);
  });

  it("drops an ID whose retry finds no capacity", async () => {
    let ready = true;
    const { queue, settle } = work({ concurrency: 1, capacity: 10, isReady: () => ready });
    queue.enqueue("a");
    await settle("a", new Error("not yet"));
    expect(queue.has("a")).toBe(true);
    ready = false;
    for (let i = 0; i < 10; i += 1) queue.enqueue(`${i}`);
    await eventually(() => !queue.has("a"), "the end of its delay");
    ready = true;
    queue.enqueue("a");
    expect(queue.has("a")).toBe(false);
  });

  it("starts no job while it is not ready, and continues when it is", async () => {
    let ready = false;
    const { queue, begun, settle } = work({ isReady: () => ready });
    queue.enqueue("a");
    expect(begun).toEqual([]);
    ready = true;
    queue.resume();
    await settle("a");
    expect(begun).toEqual(["a"]);
  });

  it("ends after every enqueued job has run once, and then retries none", async () => {
    const { queue, begun, failed, settle } = work({ concurrency: 1 });
    queue.enqueue("a");
    queue.enqueue("b");
    let closed = false;
    const closing = queue.close().then(() => (closed = true));
    await settle("a");
    expect(closed).toBe(false);
    await settle("b", new Error("no"));
    await closing;
    expect(failed).toEqual(["b"]);
    expect(begun).toEqual(["a", "b"]);
    expect(queue.has("b")).toBe(false);
  });
});

describe("a job of low priority", () => {
  it("starts after all jobs of normal priority, with a lower concurrency", async () => {
    const { queue, begun, settle } = work({ concurrency: 3, lowPriorityConcurrency: 2 });
    for (const id of ["later 1", "later 2", "later 3"]) queue.enqueueLowPriority(id);
    expect(begun).toEqual(["later 1", "later 2"]);
    queue.enqueue("a");
    queue.enqueue("b");
    expect(begun).toEqual(["later 1", "later 2", "a"]);
    await settle("later 1");
    await eventually(() => begun.length === 4, "the next job");
    expect(begun.at(-1)).toBe("b");
    await settle("b");
    await eventually(() => begun.length === 5, "the last job");
    expect(begun.at(-1)).toBe("later 3");
  });

  it("does not run at the same time as another job for the same ID", async () => {
    const { queue, begun, settle } = work({ concurrency: 3 });
    queue.enqueueLowPriority("a");
    queue.enqueue("a");
    expect(begun).toEqual(["a"]);
    await settle("a");
    await eventually(() => begun.length === 2, "the other job");
  });
});
