const HERE = "http://storefront.invalid";

/**
 * Where to go after signing in. Only a path of this site: anything that a browser could read as
 * another origin ("//evil", "/\evil", "https:…") leads home instead.
 */
export function safeRedirectPath(next: string | null | undefined): string {
  if (!next?.startsWith("/") || /[\\\p{Cc}]/u.test(next) || !URL.canParse(next, HERE)) return "/";
  const { origin, pathname, search, hash } = new URL(next, HERE);
  // The path is checked once more as resolved: "/.//evil" becomes "//evil" on the way.
  if (origin !== HERE || pathname.startsWith("//") || /^\/sign-(in|up|out)\b/.test(pathname))
    return "/";
  return pathname + search + hash;
}

/** The sign-in page that comes back to `path`. */
export function signInPath(path: string): string {
  const next = safeRedirectPath(path);
  return next === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(next)}`;
}
