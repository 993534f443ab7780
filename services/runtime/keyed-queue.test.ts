import { describe, expect, it, onTestFinished } from "vitest";
import { keyedQueue, type KeyedQueue } from "./keyed-queue.ts";
import { eventually } from "./testing/eventually.ts";

/** Work that ends when the test says so. */
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

describe("queue", () => {
  it("begin at once, and no more than there are", async () => {
    const { queue, begun, settle } = work();
    for (const id of ["a", "b", "c"]) queue.enqueue(id);
    expect(begun).toEqual(["a", "b"]);
    await settle("a");
    await eventually(() => begun.length === 3, "the third");
    expect(begun).toEqual(["a", "b", "c"]);
  });

  it("do one thing for one id at a time, and once more where it was asked for meanwhile", async () => {
    const { queue, begun, settle } = work();
    for (let i = 0; i < 5; i += 1) queue.enqueue("a");
    expect(begun).toEqual(["a"]);
    await settle("a");
    await eventually(() => begun.length === 2, "the second time");
    await settle("a");
    await eventually(() => !queue.has("a"), "the end");
    expect(begun).toEqual(["a", "a"]);
  });

  it("try again what failed, until it succeeds", async () => {
    const { queue, begun, failed, settle } = work();
    queue.enqueue("a");
    for (let i = 0; i < 3; i += 1) await settle("a", new Error("not yet"));
    await settle("a");
    await eventually(() => !queue.has("a"), "the end");
    expect(begun).toHaveLength(4);
    expect(failed).toEqual(["a", "a", "a"]);
  });

  it("know no more ids than there is room for", () => {
    const { queue, begun } = work({ concurrency: 1, capacity: 10, isReady: () => false });
    for (let i = 0; i < 1_000; i += 1) queue.enqueue(`${i}`);
    const known = Array.from({ length: 1_000 }, (_, i) => queue.has(`${i}`)).filter(Boolean);
    expect(known).toHaveLength(10);
    expect(begun).toEqual([]);
  });

  it("forget entirely what comes back from its pause and finds no room", async () => {
    let ready = true;
    const { queue, settle } = work({ concurrency: 1, capacity: 10, isReady: () => ready });
    queue.enqueue("a");
    await settle("a", new Error("not yet"));
    expect(queue.has("a")).toBe(true);
    ready = false;
    for (let i = 0; i < 10; i += 1) queue.enqueue(`${i}`);
    await eventually(() => !queue.has("a"), "its pause to be over");
    ready = true;
    queue.enqueue("a");
    expect(queue.has("a")).toBe(false);
  });

  it("begin nothing while they may not, and go on when they may", async () => {
    let ready = false;
    const { queue, begun, settle } = work({ isReady: () => ready });
    queue.enqueue("a");
    expect(begun).toEqual([]);
    ready = true;
    queue.resume();
    await settle("a");
    expect(begun).toEqual(["a"]);
  });

  it("do not end before all that was asked for has been tried, and retry nothing then", async () => {
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

describe("work that can wait", () => {
  it("is begun after all other, and in fewer queue", async () => {
    const { queue, begun, settle } = work({ concurrency: 3, lowPriorityConcurrency: 2 });
    for (const id of ["later 1", "later 2", "later 3"]) queue.enqueueLowPriority(id);
    expect(begun).toEqual(["later 1", "later 2"]);
    queue.enqueue("a");
    queue.enqueue("b");
    expect(begun).toEqual(["later 1", "later 2", "a"]);
    await settle("later 1");
    await eventually(() => begun.length === 4, "the next");
    expect(begun.at(-1)).toBe("b");
    await settle("b");
    await eventually(() => begun.length === 5, "the last");
    expect(begun.at(-1)).toBe("later 3");
  });

  it("is done beside other work on the same id, one after the other", async () => {
    const { queue, begun, settle } = work({ concurrency: 3 });
    queue.enqueueLowPriority("a");
    queue.enqueue("a");
    expect(begun).toEqual(["a"]);
    await settle("a");
    await eventually(() => begun.length === 2, "the other work");
  });
});
