import { expect, it } from "vitest";
import { shouldRefresh, submissionError } from "./submission-error.ts";

it("keeps a form, and says why, where no answer came", () => {
  const result = { type: "error", error: { message: "Internal Error" } } as never;
  expect(submissionError(result)).toEqual({
    message: expect.stringContaining("What you typed is still here"),
    isSignedOut: false,
  });
});

it.each([
  [401, true],
  [503, false],
  [500, false],
  [404, false],
])("keeps a form, and says the server's words, for an error page of %i", (status, isSignedOut) => {
  const result = { type: "error", status, error: { message: "Not now." } } as never;
  expect(submissionError(result)).toEqual({ message: "Not now.", isSignedOut });
});

it("leaves every other answer to the page", () => {
  for (const type of ["success", "failure", "redirect"])
    expect(submissionError({ type, status: 400 } as never)).toBeUndefined();
});

it("does not load a page again of which the backend has just failed", () => {
  const after = (type: string, status: number) => shouldRefresh({ type, status } as never);
  expect([400, 409, 429, 503].map((status) => after("failure", status))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(after("success", 200)).toBe(true);
});
