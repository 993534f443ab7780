import { redirect, type Cookies, type RequestEvent } from "@sveltejs/kit";

// A link in an email carries a token in its address. Opening the link does not consume the token, because
// mail scanners open links too. The token moves into a cookie of that page and leaves the address before
// anything is shown, so it appears in no history and in no Referer header, and the form works without
// JavaScript.

export type EmailLinkPath = "/reset-password" | "/confirm-email" | "/undo-email-change";

const COOKIE = "mail-link";
const MAX_AGE_SECONDS = 3600;
const MAX_TOKEN_LENGTH = 512;

/** Starts the `load` of such a page: moves the token into the cookie. Returns whether there is one. */
export function moveTokenToCookie(
  { url, cookies }: Pick<RequestEvent, "url" | "cookies">,
  path: EmailLinkPath,
): boolean {
  const token = url.searchParams.get("token");
  if (token === null) return Boolean(readLinkToken(cookies));
  cookies.set(COOKIE, token.slice(0, MAX_TOKEN_LENGTH), {
    path,
    httpOnly: true,
    sameSite: "lax",
    secure: url.protocol === "https:",
    maxAge: MAX_AGE_SECONDS,
  });
  redirect(303, path);
}

export const readLinkToken = (cookies: Cookies): string => cookies.get(COOKIE) ?? "";

export const clearLinkToken = (cookies: Cookies, path: EmailLinkPath): void =>
  cookies.delete(COOKIE, { path });
