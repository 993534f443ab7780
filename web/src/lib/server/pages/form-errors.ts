import { Code, ConnectError } from "@connectrpc/connect";
import { error, fail, redirect, type RequestEvent } from "@sveltejs/kit";
import { signInPath } from "#lib/redirect-path.ts";
import {
  temporarilyUnavailable,
  describeError,
  signInToResend,
} from "#lib/errors/error-messages.ts";

// What a page does with a refusal: `load` shows the error page, an action the form again. Who is not
// signed in is asked to be, and comes back. An error page after a form that something was typed into
// carries what was typed (typed.ts), so that it can be sent again.

type Event = Pick<RequestEvent, "url" | "locals" | "request">;

/** Where to come back to: the page; an action ("?/buy") cannot be opened. */
const path = ({ url, request }: Event) =>
  url.pathname + (request.method === "POST" ? "" : url.search);

/** The error page, with what was typed. */
export function errorPage({ locals: { typed } }: Event, status: number, message: string): never {
  error(status, { message, ...(typed && { typed }) });
}

/** The way to the sign-in page, and back to `back`; what was typed waits for the sign-in where it is. */
function askToSignIn(event: Event, back = path(event)): never {
  if (event.locals.isUncertain) errorPage(event, 503, temporarilyUnavailable); // Signing in again would not help.
  if (event.locals.typed) errorPage(event, 401, signInToResend);
  redirect(303, signInPath(back));
}

/** The signed-in user, or the way to the sign-in page. */
export const requireUser = (event: Event, back?: string): App.User =>
  event.locals.user ?? askToSignIn(event, back);

/** An administrator; to everybody else there is no such page. */
export function requireAdministrator(event: Event): App.User {
  const { user, typed } = event.locals;
  if (!user && typed) askToSignIn(event);
  if (!user?.isAdministrator) errorPage(event, 404, "There is no such page.");
  return user;
}

/** Ends a `load`: `await call().catch(toErrorPage(event))`. */
export function toErrorPage(event: Event) {
  return (cause: unknown): never => {
    if (isSignedOut(event, cause)) askToSignIn(event);
    const { status, message } = describeError(cause, event.locals);
    if (status === 500) throw cause;
    // In a page's address, something that is not an id names nothing.
    if (status === 400) errorPage(event, 404, "There is nothing here.");
    errorPage(event, status, message);
  };
}

/** Ends the `load` of a list: where its `page` is none, or is none any more, the list begins anew. */
export function toFirstPageOrError(event: Event) {
  return (cause: unknown): never => {
    const { pathname, searchParams } = event.url;
    if (!searchParams.has("page") || ConnectError.from(cause).code !== Code.InvalidArgument)
      return toErrorPage(event)(cause);
    const rest = new URLSearchParams(searchParams);
    rest.delete("page");
    redirect(303, rest.size ? `${pathname}?${rest}` : pathname);
  };
}

/** Ends an action: the form again, with words, and with what was typed. */
export function failForm<T extends object>(event: Event, cause: unknown, echo: T, back?: string) {
  if (isSignedOut(event, cause)) askToSignIn(event, back);
  const { status, message, fields, reason } = describeError(cause, event.locals);
  if (status === 500) console.error(`[web] ${event.url.pathname}${event.url.search}`, cause);
  return fail(status, { message, fields, reason, ...echo });
}

/** Ends an action that the storefront itself refuses, before asking anybody. */
export function failFields<T extends object>(fields: Record<string, string>, echo: T) {
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

/** Whether a call was refused because nobody is signed in. */
const isSignedOut = ({ locals }: Event, cause: unknown): boolean =>
  ConnectError.from(cause).code === Code.Unauthenticated &&
  describeError(cause, locals).reason !== "WRONG_CREDENTIALS";
