import { Code, ConnectError } from "@connectrpc/connect";
import { redirect } from "@sveltejs/kit";
import {
  describeError,
  signInToResend,
  temporarilyUnavailable,
} from "#lib/errors/error-messages.ts";
import { signInPath } from "#lib/redirect-path.ts";
import { showErrorPage, type PageEvent } from "./error-page.ts";

/** The signed-in user. Everyone else is sent to the sign-in page, and then back to `returnPath`. */
export const requireUser = (event: PageEvent, returnPath?: string): App.User =>
  event.locals.user ?? redirectToSignIn(event, returnPath);

/** The signed-in administrator. For everyone else the page does not exist. */
export function requireAdministrator(event: PageEvent): App.User {
  const { user, unsentForm } = event.locals;
  if (!user && unsentForm) redirectToSignIn(event);
  if (!user?.isAdministrator) showErrorPage(event, 404, "This page doesn’t exist.");
  return user;
}

/** Sends the browser to the sign-in page, or shows the error page where that would lose a form. */
export function redirectToSignIn(event: PageEvent, returnPath = pagePath(event)): never {
  // Signing in again would not help.
  if (event.locals.isSessionUncertain) showErrorPage(event, 503, temporarilyUnavailable);
  if (event.locals.unsentForm) showErrorPage(event, 401, signInToResend);
  redirect(303, signInPath(returnPath));
}

/** Whether a call failed because nobody is signed in. */
export const isSignedOut = ({ locals }: PageEvent, cause: unknown): boolean =>
  ConnectError.from(cause).code === Code.Unauthenticated &&
  describeError(cause, locals).reason !== "WRONG_CREDENTIALS";

/** The page of a request. An action ("?/buy") is left out: it cannot be opened. */
const pagePath = ({ url, request }: PageEvent): string =>
  url.pathname + (request.method === "POST" ? "" : url.search);
