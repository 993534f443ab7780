import { expect, it } from "vitest";
import { bornAt, firstIdAt, isYoung, newId } from "./ids.ts";

it("the first id of a millisecond lies between the ids made before and after it", () => {
  const ids = Array.from({ length: 100 }, newId);
  for (const id of ids) {
    expect(firstIdAt(bornAt(id)) <= id).toBe(true);
    expect(firstIdAt(bornAt(id) + 1) > id).toBe(true);
    expect(bornAt(firstIdAt(bornAt(id)))).toBe(bornAt(id));
  }
});

it("an id is young until news of it must have come, and never one of the future", () => {
  const now = Date.now();
  const day = 86_400_000;
  const young = (ms: number): boolean => isYoung(firstIdAt(now + ms), now, day);
  expect([0, -1_000, 1 - day, 5_000].map(young)).toEqual([true, true, true, true]);
  expect([-day, 10_000, day, 1e13].map(young)).toEqual([false, false, false, false]);
  for (const none of ["", "x", crypto.randomUUID(), "ffffffff-ffff-7000-8000-000000000000"])
    expect(isYoung(none, now, day)).toBe(false);
});
