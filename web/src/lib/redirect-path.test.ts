import { describe, expect, it } from "vitest";
import { safeRedirectPath, signInPath } from "./redirect-path.ts";

describe("safeRedirectPath", () => {
  it.each(["/orders", "/tickets/1?from=list#price", "/"])(
    "keeps a path of this site: %s",
    (path) => {
      expect(safeRedirectPath(path)).toBe(path);
    },
  );

  it.each([
    undefined,
    null,
    "",
    "orders",
    "https://elsewhere.example/",
    "//elsewhere.example",
    "/\\elsewhere.example",
    "/\t/elsewhere.example",
    "/.//elsewhere.example",
    "/x/..//elsewhere.example",
    "javascript:alert(1)",
    "/sign-in?next=/sign-in",
    "/sign-out",
  ])("leads to the home page instead of %j", (next) => {
    expect(safeRedirectPath(next)).toBe("/");
  });
});

it("returns to the same page after signing in", () => {
  expect(signInPath("/orders?filter=past")).toBe("/sign-in?next=%2Forders%3Ffilter%3Dpast");
  expect(signInPath("/")).toBe("/sign-in");
});
