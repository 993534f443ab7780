import { describe, expect, it } from "vitest";
import { InvalidFields } from "../errors.ts";
import { pageSize, pageToken, readPageToken } from "./paging.ts";

const query = ["orders", "ann", 1];
const cursor = { key: 1999, id: "0192f1f0-0000-7000-8000-000000000001" };

describe("page tokens", () => {
  it("continue after the last item of the page", () => {
    expect(readPageToken(query, pageToken(query, cursor))).toEqual(cursor);
    expect(readPageToken(query, "")).toBeUndefined();
  });

  it("do not exceed the limit of the contract", () => {
    expect(pageToken(query, cursor)).toMatch(/^[\w-]{1,1024}$/);
  });

  const of = (...parts: unknown[]): string =>
    Buffer.from(JSON.stringify(parts)).toString("base64url");
  const [print] = JSON.parse(
    Buffer.from(pageToken(query, cursor), "base64url").toString(),
  ) as string[];
  it.each([
    ["of another query", pageToken(["orders", "bob", 1], cursor)],
    ["that is not base64", "%%%"],
    ["that is not JSON", Buffer.from("hello").toString("base64url")],
    ["that is not an array", Buffer.from("null").toString("base64url")],
    ["without an id", of(print, 1)],
    ["whose id is an object", of(print, 1, { $gt: "" })],
    ["whose key is an object", of(print, { $gt: "" }, "a")],
    ["whose key is a string", of(print, "soon", "a")],
    ["whose key exceeds the greatest date", of(print, 1e300, "a")],
    ["whose key is a fraction", of(print, 0.5, "a")],
  ])("are refused as a wrong field: one %s", (_, token) => {
    expect(() => readPageToken(query, token)).toThrow(InvalidFields);
    expect(() => readPageToken(query, token)).toThrow("page_token: is not a token of this query");
  });
});

describe("page sizes", () => {
  it.each([
    [0, 20],
    [1, 1],
    [100, 100],
    [101, 100],
    [2_147_483_647, 100],
  ])("%d requested is a page of %d", (asked, given) => {
    expect(pageSize(asked)).toBe(given);
  });
});
