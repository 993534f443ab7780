import { expect, test } from "vitest";
import { median, percentile, spread } from "./figures.ts";

const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);

test("a percentile does not depend on the order of the numbers", () => {
  expect(percentile(hundred, 0.5)).toBe(51);
  expect(percentile(hundred, 0.99)).toBe(100);
  expect(percentile([7], 0.999)).toBe(7);
});

test("there is no percentile of nothing", () => {
  expect(percentile([], 0.5)).toBeNaN();
});

test("a spread is the median with the lowest and the highest", () => {
  expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});
