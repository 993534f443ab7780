const SITE = "http://storefront.invalid";

/**
 * Where to go after signing in: only a path of this site. Anything that a browser could read as another
 * origin ("//evil", "/\evil", "https:…") leads to the home page instead.
 */
export function safeRedirectPath(next: string | null | undefined): string {
  if (!next?.startsWith("/") || /[\\\p{Cc}]/u.test(next) || !URL.canParse(next, SITE)) return "/";
  const { origin, pathname, search, hash } = new URL(next, SITE);
  // The resolved path is checked again: "/.//evil" resolves to "//evil".
  if (origin !== SITE || pathname.startsWith("//") || /^\/sign-(in|up|out)\b/.test(pathname))
    return "/";
  return pathname + search + hash;
}

/** The address of the sign-in page that returns to `path`. */
export function signInPath(path: string): string {
  const next = safeRedirectPath(path);
  return next === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(next)}`;
}
