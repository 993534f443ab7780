import { expect, it } from "vitest";
import { batched } from "./batched.ts";

it("stores the items that arrive while a batch is being stored together", async () => {
  const { promise: stored, resolve } = Promise.withResolvers<void>();
  const batches: (readonly number[])[] = [];
  const store = batched<number>((items) => {
    batches.push(items);
    return batches.length === 1 ? stored : Promise.resolve();
  });
  const first = store(0);
  await Promise.resolve();
  const others = [1, 2, 3].map(store);
  resolve();
  await Promise.all([first, ...others]);
  expect(batches).toEqual([[0], [1, 2, 3]]);
});

it("an item resolves only when its batch is stored", async () => {
  const { promise: stored, resolve } = Promise.withResolvers<void>();
  const store = batched<number>(() => stored);
  let isDone = false;
  const done = store(1).then(() => (isDone = true));
  await new Promise(setImmediate);
  expect(isDone).toBe(false);
  resolve();
  await done;
});

it("an item that cannot be stored fails alone", async () => {
  const stored = new Set<number>();
  const store = batched<number>((items) => {
    if (items.includes(13)) return Promise.reject(new Error("unlucky"));
    for (const item of items) stored.add(item);
    return Promise.resolve();
  });
  const results = await Promise.allSettled([12, 13, 14].map(store));
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect([...stored]).toEqual([12, 14]);
});

it("stores further items after a failure", async () => {
  let fails = true;
  const store = batched<number>(() =>
    fails ? Promise.reject(new Error("no database")) : Promise.resolve(),
  );
  await expect(store(1)).rejects.toThrow("no database");
  fails = false;
  await store(1);
});

it("limits the size of a batch", async () => {
  const sizes: number[] = [];
  const store = batched<number>((items) => Promise.resolve(sizes.push(items.length)));
  await Promise.all(Array.from({ length: 150 }, (_, i) => store(i)));
  expect(Math.max(...sizes)).toBe(64);
  expect(sizes.reduce((sum, size) => sum + size)).toBe(150);
});
