import { expect, it } from "vitest";
import { bornAt, firstIdAt, newId } from "./ids.ts";

it("the first id of a millisecond lies between the ids made before and after it", () => {
  const ids = Array.from({ length: 100 }, newId);
  for (const id of ids) {
    expect(firstIdAt(bornAt(id)) <= id).toBe(true);
    expect(firstIdAt(bornAt(id) + 1) > id).toBe(true);
    expect(bornAt(firstIdAt(bornAt(id)))).toBe(bornAt(id));
  }
});
