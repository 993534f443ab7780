import { expect, test } from "vitest";
import { regressions } from "./compare.ts";

const ratio = (value: number) => ({ name: "list/floor", title: "list / floor", value });

test("a ratio that became worse by more than 15 % is named with both values", () => {
  expect(regressions({ ratios: [ratio(2)] }, { ratios: [ratio(2.4)] })).toEqual([
    "list / floor: 2.40, 20 % worse than 2.00",
  ]);
});

test("a ratio that became better, or worse by less, is not named", () => {
  for (const value of [1, 2, 2.3]) {
    expect(regressions({ ratios: [ratio(2)] }, { ratios: [ratio(value)] })).toEqual([]);
  }
});

test("a ratio that only one of the runs has is not compared", () => {
  expect(regressions({ ratios: [] }, { ratios: [ratio(9)] })).toEqual([]);
  expect(regressions({ ratios: [ratio(1)] }, { ratios: [] })).toEqual([]);
});
