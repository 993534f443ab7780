import { UserStatus } from "@ticketing/proto/web/auth/v1/user";
import { expect, it } from "vitest";
import { readUserSearch, statusOf, userSearchQuery } from "./user-search.ts";

it("writes an address that reads back as the same search", () => {
  const search = readUserSearch(
    new URLSearchParams("email= a%2Bb@example.com &status=banned&/ban"),
  );
  expect(search).toEqual({ email: "a+b@example.com", status: "banned" });
  expect(readUserSearch(new URLSearchParams(userSearchQuery(search)))).toEqual(search);
  expect(userSearchQuery(readUserSearch(new URLSearchParams("/ban")))).toBe("");
});

it("ignores parameters that cannot be searched for", () => {
  const long = `${"a".repeat(300)}@example.com`;
  const search = readUserSearch(new URLSearchParams({ email: long, status: "asleep" }));
  expect(search).toEqual({ email: "a".repeat(254), status: "" });
});

it("shows all users for an unknown status", () => {
  expect(["banned", "active", "", "asleep"].map(statusOf)).toEqual([
    UserStatus.BANNED,
    UserStatus.ACTIVE,
    UserStatus.UNSPECIFIED,
    UserStatus.UNSPECIFIED,
  ]);
});
