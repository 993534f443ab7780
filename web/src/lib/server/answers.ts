import { Code, ConnectError } from "@connectrpc/connect";
import { error, fail, redirect, type RequestEvent } from "@sveltejs/kit";
import { signInPath } from "#lib/next.ts";
import { busy, describe } from "#lib/refusals.ts";

// What a page does with a refusal: `load` shows the error page, an action the form again. Who is not
// signed in is asked to be, and comes back.

type Event = Pick<RequestEvent, "url" | "locals" | "request">;

/** Where to come back to: the page; an action ("?/buy") cannot be opened. */
const path = ({ url, request }: Event) =>
  url.pathname + (request.method === "POST" ? "" : url.search);

/** The signed-in user, or the way to the sign-in page. */
export function signedIn(event: Event): App.User {
  const { user, isUncertain } = event.locals;
  // Signing in again would not help, and what was typed would be lost.
  if (!user && isUncertain) error(503, busy);
  return user ?? redirect(303, signInPath(path(event)));
}

/** An administrator; to everybody else there is no such page. */
export function administrator({ locals }: Event): App.User {
  if (!locals.user?.isAdministrator) error(404, "There is no such page.");
  return locals.user;
}

/** Ends a `load`: `await call().catch(refused(event))`. */
export function refused(event: Event) {
  return (cause: unknown): never => {
    askToSignIn(event, cause);
    const { status, message } = describe(cause, event.locals);
    if (status === 500) throw cause;
    // In a page's address, something that is not an id names nothing.
    if (status === 400) error(404, "There is nothing here.");
    error(status, message);
  };
}

/** Ends an action: the form again, with words, and with what was typed. */
export function failed<T extends object>(event: Event, cause: unknown, echo: T) {
  askToSignIn(event, cause);
  const { status, message, fields, reason } = describe(cause, event.locals);
  if (status === 500) console.error(`[web] ${event.url.pathname}${event.url.search}`, cause);
  return fail(status, { message, fields, reason, ...echo });
}

/** Ends an action that the storefront itself refuses, before asking anybody. */
export function incomplete<T extends object>(fields: Record<string, string>, echo: T) {
  const message = "Something in the form is not right.";
  return fail(400, { message, fields, reason: "", ...echo });
}

/**
 * The request id for the form's next try. Where the outcome is unknown it stays, so that trying again
 * cannot do it twice; after a definite refusal the next try is a new request.
 */
export function nextRequestId(cause: unknown, requestId: string): string {
  const { code } = ConnectError.from(cause);
  const unknown = [Code.Unavailable, Code.DeadlineExceeded, Code.Unknown, Code.Internal];
  return unknown.includes(code) ? requestId : crypto.randomUUID();
}

function askToSignIn(event: Event, cause: unknown): void {
  const { code } = ConnectError.from(cause);
  const { reason } = describe(cause, event.locals);
  if (code !== Code.Unauthenticated || reason === "WRONG_CREDENTIALS") return;
  if (event.locals.isUncertain) error(503, busy);
  redirect(303, signInPath(path(event)));
}
