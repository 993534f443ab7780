import { expect, test } from "vitest";
import { columns, sharesOf } from "./table.ts";

test("columns are as wide as their widest cell, with numbers at the right", () => {
  expect(
    columns([
      ["", "req/s"],
      ["list of 100", "7"],
      ["one", "1,234,567"],
    ]),
  ).toEqual(["                 req/s", "list of 100          7", "one          1,234,567"]);
});

test("the processes with the largest shares come first, and those below one percent are left out", () => {
  expect(sharesOf({ edge: 20, tickets: 180, web: 1 })).toBe("tickets 180, edge 20");
});
