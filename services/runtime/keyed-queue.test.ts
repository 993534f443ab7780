import { describe, expect, it, onTestFinished } from "vitest";
import { lanes, type Lanes } from "./keyed-queue.ts";
import { eventually } from "./testing/eventually.ts";

/** Work that ends when the test says so. */
function work(
  options: {
    width?: number;
    laterWidth?: number;
    room?: number;
    ready?: () => boolean;
  } = {},
) {
  const begun: string[] = [];
  const failed: string[] = [];
  const open = new Map<string, PromiseWithResolvers<void>>();
  const made: Lanes = lanes(
    (id) => {
      begun.push(id);
      const done = Promise.withResolvers<void>();
      open.set(id, done);
      return done.promise;
    },
    { width: 2, firstPauseMs: 20, onError: (_, id) => failed.push(id), ...options },
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
  return { lanes: made, begun, failed, settle };
}

describe("lanes", () => {
  it("begin at once, and no more than there are", async () => {
    const { lanes, begun, settle } = work();
    for (const id of ["a", "b", "c"]) lanes.wake(id);
    expect(begun).toEqual(["a", "b"]);
    await settle("a");
    await eventually(() => begun.length === 3, "the third");
    expect(begun).toEqual(["a", "b", "c"]);
  });

  it("do one thing for one id at a time, and once more where it was asked for meanwhile", async () => {
    const { lanes, begun, settle } = work();
    for (let i = 0; i < 5; i += 1) lanes.wake("a");
    expect(begun).toEqual(["a"]);
    await settle("a");
    await eventually(() => begun.length === 2, "the second time");
    await settle("a");
    await eventually(() => !lanes.has("a"), "the end");
    expect(begun).toEqual(["a", "a"]);
  });

  it("try again what failed, until it succeeds", async () => {
    const { lanes, begun, failed, settle } = work();
    lanes.wake("a");
    for (let i = 0; i < 3; i += 1) await settle("a", new Error("not yet"));
    await settle("a");
    await eventually(() => !lanes.has("a"), "the end");
    expect(begun).toHaveLength(4);
    expect(failed).toEqual(["a", "a", "a"]);
  });

  it("know no more ids than there is room for", () => {
    const { lanes, begun } = work({ width: 1, room: 10, ready: () => false });
    for (let i = 0; i < 1_000; i += 1) lanes.wake(`${i}`);
    const known = Array.from({ length: 1_000 }, (_, i) => lanes.has(`${i}`)).filter(Boolean);
    expect(known).toHaveLength(10);
    expect(begun).toEqual([]);
  });

  it("forget entirely what comes back from its pause and finds no room", async () => {
    let ready = true;
    const { lanes, settle } = work({ width: 1, room: 10, ready: () => ready });
    lanes.wake("a");
    await settle("a", new Error("not yet"));
    expect(lanes.has("a")).toBe(true);
    ready = false;
    for (let i = 0; i < 10; i += 1) lanes.wake(`${i}`);
    await eventually(() => !lanes.has("a"), "its pause to be over");
    ready = true;
    lanes.wake("a");
    expect(lanes.has("a")).toBe(false);
  });

  it("begin nothing while they may not, and go on when they may", async () => {
    let ready = false;
    const { lanes, begun, settle } = work({ ready: () => ready });
    lanes.wake("a");
    expect(begun).toEqual([]);
    ready = true;
    lanes.next();
    await settle("a");
    expect(begun).toEqual(["a"]);
  });

  it("do not end before all that was asked for has been tried, and retry nothing then", async () => {
    const { lanes, begun, failed, settle } = work({ width: 1 });
    lanes.wake("a");
    lanes.wake("b");
    let closed = false;
    const closing = lanes.close().then(() => (closed = true));
    await settle("a");
    expect(closed).toBe(false);
    await settle("b", new Error("no"));
    await closing;
    expect(failed).toEqual(["b"]);
    expect(begun).toEqual(["a", "b"]);
    expect(lanes.has("b")).toBe(false);
  });
});

describe("work that can wait", () => {
  it("is begun after all other, and in fewer lanes", async () => {
    const { lanes, begun, settle } = work({ width: 3, laterWidth: 2 });
    for (const id of ["later 1", "later 2", "later 3"]) lanes.wakeLater(id);
    expect(begun).toEqual(["later 1", "later 2"]);
    lanes.wake("a");
    lanes.wake("b");
    expect(begun).toEqual(["later 1", "later 2", "a"]);
    await settle("later 1");
    await eventually(() => begun.length === 4, "the next");
    expect(begun.at(-1)).toBe("b");
    await settle("b");
    await eventually(() => begun.length === 5, "the last");
    expect(begun.at(-1)).toBe("later 3");
  });

  it("is done beside other work on the same id, one after the other", async () => {
    const { lanes, begun, settle } = work({ width: 3 });
    lanes.wakeLater("a");
    lanes.wake("a");
    expect(begun).toEqual(["a"]);
    await settle("a");
    await eventually(() => begun.length === 2, "the other work");
  });
});
