import { expect, it } from "vitest";
import { shouldRefresh, submissionError } from "./submission-error.ts";

it("keeps the form and says why when no response arrives", () => {
  const result = { type: "error", error: { message: "Internal Error" } } as never;
  expect(submissionError(result)).toEqual({
    message: expect.stringContaining("Your input is still here"),
    isSignedOut: false,
  });
});

it.each([
  [401, true],
  [503, false],
  [500, false],
  [404, false],
])(
  "keeps the form and shows the server's message for an error page with status %i",
  (status, isSignedOut) => {
    const result = { type: "error", status, error: { message: "Not now." } } as never;
    expect(submissionError(result)).toEqual({ message: "Not now.", isSignedOut });
  },
);

it("leaves every other response to the page", () => {
  for (const type of ["success", "failure", "redirect"])
    expect(submissionError({ type, status: 400 } as never)).toBeUndefined();
});

it("does not reload a page right after the backend has failed", () => {
  const after = (type: string, status: number) => shouldRefresh({ type, status } as never);
  expect([400, 409, 429, 503].map((status) => after("failure", status))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(after("success", 200)).toBe(true);
});
