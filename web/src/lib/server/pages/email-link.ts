import { redirect, type Cookies, type RequestEvent } from "@sveltejs/kit";

// A link in a mail carries a token in its address. Opening it uses nothing up, since mail scanners open
// links too: the token moves into a cookie of that page, and the address is clean before anything is
// shown. So it stands in no history and in no Referer, and the form, sent with its Origin, works without
// JavaScript.

type LinkPage = "/reset-password" | "/confirm-email" | "/undo-email-change";

const NAME = "mail-link";
const AN_HOUR = 3600;

/** Begins the `load` of such a page: takes the token from the address. Whether there is one to act on. */
export function moveTokenToCookie(
  { url, cookies }: Pick<RequestEvent, "url" | "cookies">,
  path: LinkPage,
) {
  const token = url.searchParams.get("token");
  if (token === null) return Boolean(readLinkToken(cookies));
  cookies.set(NAME, token.slice(0, 512), {
    path,
    httpOnly: true,
    sameSite: "lax",
    secure: url.protocol === "https:",
    maxAge: AN_HOUR,
  });
  redirect(303, path);
}

export const readLinkToken = (cookies: Cookies): string => cookies.get(NAME) ?? "";

export const clearLinkToken = (cookies: Cookies, path: LinkPage): void =>
  cookies.delete(NAME, { path });
