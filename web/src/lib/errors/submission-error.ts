import type { ActionResult } from "$app/forms";

/** Why a form was not taken, where the answer is no page of its own. */
export interface SubmissionError {
  message: string;
  /** Whether its sender has to sign in first. */
  isSignedOut: boolean;
}

const unreachable =
  "We got no answer. What you typed is still here: check your connection, then try again.";

/**
 * What a form says of an answer that would put an error page in its place, and so take away what was
 * typed. Undefined for every other answer.
 */
export function submissionError(result: ActionResult): SubmissionError | undefined {
  if (result.type !== "error") return undefined;
  // Without an answer there is no status.
  if (!result.status) return { message: unreachable, isSignedOut: false };
  return { message: String(result.error?.message), isSignedOut: result.status === 401 };
}

/**
 * Whether the page is loaded again after an answer, to show how things stand now. Where the backend is
 * away that would fail too, and put an error page in the place of the form.
 */
export const shouldRefresh = (result: ActionResult): boolean =>
  result.type !== "failure" || result.status < 429;
