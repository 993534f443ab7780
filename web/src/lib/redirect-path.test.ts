import { describe, expect, it } from "vitest";
import { safeRedirectPath, signInPath } from "./redirect-path.ts";

describe("safeRedirectPath", () => {
  it.each(["/orders", "/tickets/1?from=list#price", "/"])("keeps a path of ours: %s", (path) => {
    expect(safeRedirectPath(path)).toBe(path);
  });

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
  ])("leads home instead of to %j", (next) => {
    expect(safeRedirectPath(next)).toBe("/");
  });
});

it("comes back from signing in to where the visitor was", () => {
  expect(signInPath("/orders?filter=past")).toBe("/sign-in?next=%2Forders%3Ffilter%3Dpast");
  expect(signInPath("/")).toBe("/sign-in");
});
