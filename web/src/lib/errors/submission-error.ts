import type { ActionResult } from "$app/forms";

/** Why a form was not accepted, where the response is an error page. */
export interface SubmissionError {
  message: string;
  /** Whether the sender has to sign in first. */
  isSignedOut: boolean;
}

const unreachable =
  "We couldn’t reach the server. Your input is still here: check your connection, then try again.";

/**
 * The message for a response that would replace the form with an error page and so lose the input.
 * Undefined for every other response.
 */
export function submissionError(result: ActionResult): SubmissionError | undefined {
  if (result.type !== "error") return undefined;
  // A request without a response has no status.
  if (!result.status) return { message: unreachable, isSignedOut: false };
  return { message: String(result.error?.message), isSignedOut: result.status === 401 };
}

/**
 * Whether to reload the page's data after a response. When the backend is unavailable the reload would
 * fail too, and an error page would replace the form.
 */
export const shouldRefresh = (result: ActionResult): boolean =>
  result.type !== "failure" || result.status < 429;
