import { afterAll, onTestFinished } from "vitest";

// For the type of the provided values.

// Resources that tests create are released automatically: after the test that created them or, if they were
// created at the top of a file with `await`, after its last test.

/** Runs the function when the test ends, or after the last test if no single test is running. */
export function atEnd(close: () => Promise<void>): void {
  try {
    onTestFinished(close);
  } catch {
    afterAll(close);
  }
}
