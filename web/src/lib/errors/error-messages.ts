import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "@ticketing/proto/web-google/rpc/error_details";
import type { Preferences } from "#lib/preferences.svelte.ts";
import { fieldErrors } from "./field-errors.ts";
import { reasonMessages } from "./reason-messages.ts";

/** An error of the backend: a message for a person, and the details that pages act on. */
export interface ErrorMessage {
  /** The HTTP status of a page that shows the message. */
  status: number;
  message: string;
  /** A message for each wrong field, by the field's name in the form. */
  fields: Record<string, string>;
  /** The reason from ErrorInfo, or an empty string. */
  reason: string;
  metadata: Record<string, string>;
}

/** What a page says when the fault is ours. */
export const temporarilyUnavailable =
  "Something isn’t working right now. Nothing is lost. Try again in a few seconds.";

/** What a page says when the sender of a form is signed out. */
export const signInToResend =
  "You’re signed out. Nothing is lost: sign in, then send the form again.";

/** What a form says above the messages beside its fields. */
export const checkTheForm = "Some details aren’t right. Check the form and try again.";

const codes: Partial<Record<Code, { status: number; message?: string }>> = {
  [Code.InvalidArgument]: { status: 400, message: checkTheForm },
  [Code.OutOfRange]: { status: 400 },
  [Code.Unauthenticated]: { status: 401, message: "Please sign in." },
  [Code.PermissionDenied]: { status: 403, message: "You don’t have permission to do this." },
  [Code.NotFound]: { status: 404, message: "This page doesn’t exist." },
  [Code.AlreadyExists]: { status: 409 },
  [Code.Aborted]: {
    status: 409,
    message: "Someone else made a change first. Refresh the page and try again.",
  },
  [Code.FailedPrecondition]: { status: 409, message: "This isn’t possible right now." },
  [Code.ResourceExhausted]: {
    status: 429,
    message: "Too many requests. Wait a moment, then try again.",
  },
  [Code.DeadlineExceeded]: { status: 503 },
  [Code.Unavailable]: { status: 503 },
};

/** Puts an error into words. A reason without a message of its own gets the message of its code. */
export function describeError(cause: unknown, preferences: Preferences): ErrorMessage {
  const error = ConnectError.from(cause);
  const { reason = "", metadata = {} } = error.findDetails(ErrorInfoSchema)[0] ?? {};
  const { status, message = temporarilyUnavailable } = codes[error.code] ?? { status: 500 };
  const text = reasonMessages[reason] ?? message;
  return {
    status,
    message: typeof text === "function" ? text(metadata, preferences) : text,
    fields: fieldErrors(error),
    reason,
    metadata,
  };
}
