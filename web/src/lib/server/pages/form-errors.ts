import { Code, ConnectError } from "@connectrpc/connect";
import { fail } from "@sveltejs/kit";
import { checkTheForm, describeError } from "#lib/errors/error-messages.ts";
import { isSignedOut, redirectToSignIn } from "./access.ts";
import type { PageEvent } from "./error-page.ts";

/** Ends an action whose call failed: the form comes back with messages and with `values`. */
export function failForm<T extends object>(
  event: PageEvent,
  cause: unknown,
  values: T,
  returnPath?: string,
) {
  if (isSignedOut(event, cause)) redirectToSignIn(event, returnPath);
  const { status, message, fields, reason } = describeError(cause, event.locals);
  if (status === 500) console.error(`[web] ${event.url.pathname}${event.url.search}`, cause);
  return fail(status, { message, fields, reason, ...values });
}

/** Ends an action whose fields the storefront cannot read, before any call. */
export const failFields = <T extends object>(fields: Record<string, string>, values: T) =>
  fail(400, { message: checkTheForm, fields, reason: "", ...values });

/**
 * The request id for the form's next attempt. After an unknown outcome it stays the same, so that the
 * retry is idempotent; after a definite error the next attempt is a new request.
 */
export function nextRequestId(cause: unknown, requestId: string): string {
  const { code } = ConnectError.from(cause);
  const unknown = [Code.Unavailable, Code.DeadlineExceeded, Code.Unknown, Code.Internal];
  return unknown.includes(code) ? requestId : crypto.randomUUID();
}
