import { afterAll, onTestFinished } from "vitest";

// For the type of what it provides.

// What is made here is taken away by itself: after the test that made it, or after the last one of
// the file where it was made at its top, with `await`.

/** Runs when the test is over, or in the end where no single test is running. */
export function atEnd(close: () => Promise<void>): void {
  try {
    onTestFinished(close);
  } catch {
    afterAll(close);
  }
}
