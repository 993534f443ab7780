import { expect, it } from "vitest";
import { createTimeOf, smallestIdAt, isRecentId, newId } from "./ids.ts";

it("the smallest ID of a millisecond lies between the IDs created before and after it", () => {
  const ids = Array.from({ length: 100 }, newId);
  for (const id of ids) {
    expect(smallestIdAt(createTimeOf(id)) <= id).toBe(true);
    expect(smallestIdAt(createTimeOf(id) + 1) > id).toBe(true);
    expect(createTimeOf(smallestIdAt(createTimeOf(id)))).toBe(createTimeOf(id));
  }
});

it("an ID is recent until its event must have arrived, and never if it is from the future", () => {
  const now = Date.now();
  const day = 86_400_000;
  const young = (ms: number): boolean => isRecentId(smallestIdAt(now + ms), now, day);
  expect([0, -1_000, 1 - day, 5_000].map(young)).toEqual([true, true, true, true]);
  expect([-day, 10_000, day, 1e13].map(young)).toEqual([false, false, false, false]);
  for (const none of ["", "x", crypto.randomUUID(), "ffffffff-ffff-7000-8000-000000000000"])
    expect(isRecentId(none, now, day)).toBe(false);
});
