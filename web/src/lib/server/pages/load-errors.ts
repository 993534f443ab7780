import { Code, ConnectError } from "@connectrpc/connect";
import { redirect } from "@sveltejs/kit";
import { describeError } from "#lib/errors/error-messages.ts";
import { isSignedOut, redirectToSignIn } from "./access.ts";
import { showErrorPage, type PageEvent } from "./error-page.ts";

/** Handles the error of a `load`: `await call().catch(toErrorPage(event))`. */
export function toErrorPage(event: PageEvent) {
  return (cause: unknown): never => {
    if (isSignedOut(event, cause)) redirectToSignIn(event);
    const { status, message } = describeError(cause, event.locals);
    if (status === 500) throw cause;
    // An invalid id in a page's address names nothing.
    if (status === 400) showErrorPage(event, 404, "This page doesn’t exist.");
    showErrorPage(event, status, message);
  };
}

/**
 * Handles the error of a `load` that lists in pages: a page token that is not valid, or no longer valid,
 * leads to the first page.
 */
export function toFirstPageOrError(event: PageEvent) {
  return (cause: unknown): never => {
    const { pathname, searchParams } = event.url;
    if (!searchParams.has("page") || ConnectError.from(cause).code !== Code.InvalidArgument)
      return toErrorPage(event)(cause);
    const rest = new URLSearchParams(searchParams);
    rest.delete("page");
    redirect(303, rest.size ? `${pathname}?${rest}` : pathname);
  };
}
