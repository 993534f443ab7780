import { UserStatus } from "@ticketing/proto/web/auth/v1/user";
import { expect, it } from "vitest";
import { readUserSearch, statusOf, userSearchText } from "./user-search.ts";

it("comes back to the same search", () => {
  const search = readUserSearch(
    new URLSearchParams("email= a%2Bb@example.com &status=banned&/ban"),
  );
  expect(search).toEqual({ email: "a+b@example.com", status: "banned" });
  expect(readUserSearch(new URLSearchParams(userSearchText(search)))).toEqual(search);
  expect(userSearchText(readUserSearch(new URLSearchParams("/ban")))).toBe("");
});

it("leaves out of an address what cannot be searched for", () => {
  const long = `${"a".repeat(300)}@example.com`;
  const search = readUserSearch(new URLSearchParams({ email: long, status: "asleep" }));
  expect(search).toEqual({ email: "a".repeat(254), status: "" });
});

it("shows all for a status that is none", () => {
  expect(["banned", "active", "", "asleep"].map(statusOf)).toEqual([
    UserStatus.BANNED,
    UserStatus.ACTIVE,
    UserStatus.UNSPECIFIED,
    UserStatus.UNSPECIFIED,
  ]);
});
