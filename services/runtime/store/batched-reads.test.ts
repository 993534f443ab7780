import { expect, it } from "vitest";
import { batchedReads } from "./batched-reads.ts";

/** Reads that end when the test says so. */
function controlledReads() {
  const reads: { keys: readonly number[]; end: (error?: Error) => void }[] = [];
  const find = batchedReads(async (keys: readonly number[]) => {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    reads.push({ keys, end: (error) => (error ? reject(error) : resolve(undefined)) });
    await promise;
    return keys.map((key) => key * 10);
  });
  return { reads, find };
}

/** Lets all promises that can settle do so. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

it("begins the first read at once", async () => {
  const { reads, find } = controlledReads();
  const found = find(1);
  await settle();
  expect(reads.map(({ keys }) => keys)).toEqual([[1]]);
  reads[0]?.end();
  expect(await found).toEqual([10]);
});

it("answers all lookups made during a read with one read that begins after them", async () => {
  const { reads, find } = controlledReads();
  const first = find(1);
  await settle();
  const later = [find(2), find(3), find(4)];
  await settle();
  expect(reads).toHaveLength(1);
  reads[0]?.end();
  await first;
  await settle();
  expect(reads.map(({ keys }) => keys)).toEqual([[1], [2, 3, 4]]);
  reads[1]?.end();
  expect(await Promise.all(later)).toEqual(Array.from({ length: 3 }, () => [20, 30, 40]));
});

it("splits more lookups than one read may have", async () => {
  const { reads, find } = controlledReads();
  const all = Array.from({ length: 200 }, (_, i) => find(i));
  await settle();
  reads[0]?.end();
  await settle();
  reads[1]?.end();
  await Promise.all(all);
  expect(reads.map(({ keys }) => keys.length)).toEqual([128, 72]);
});

it("fails the lookups of a failed read, and none of the next", async () => {
  const { reads, find } = controlledReads();
  const failing = find(1);
  const failure = expect(failing).rejects.toThrow("gone");
  await settle();
  const next = find(2);
  reads[0]?.end(new Error("gone"));
  await failure;
  await settle();
  reads[1]?.end();
  expect(await next).toEqual([20]);
});
