const stripeSources = {
  "script-src": "https://js.stripe.com",
  "frame-src": "https://js.stripe.com https://hooks.stripe.com",
  "connect-src": "https://api.stripe.com",
};

/** Adds Stripe's addresses to a Content-Security-Policy, for a site with a publishable key. */
export function allowStripe(policy: string): string {
  return Object.entries(stripeSources).reduce(
    (text, [directive, sources]) =>
      text.replace(new RegExp(`${directive} (?:'none'|([^;]*))`), (_, own?: string) =>
        [directive, own, sources].filter(Boolean).join(" "),
      ),
    policy,
  );
}

interface ResponseContext {
  /** Whether the browser connected by TLS. */
  secure: boolean;
  /** Whether the page's address holds a secret. */
  secretAddress: boolean;
}

/** Sets the headers that every response sends to browsers and caches. */
export function setSecurityHeaders(
  headers: Headers,
  { secure, secretAddress }: ResponseContext,
): void {
  headers.set("x-content-type-options", "nosniff");
  // "no-referrer" only where it is needed: it makes browsers send forms with `Origin: null`, which are
  // refused.
  headers.set("referrer-policy", secretAddress ? "no-referrer" : "same-origin");
  headers.set("permissions-policy", "camera=(), microphone=(), geolocation=()");
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-resource-policy", "same-origin");
  if (secure) headers.set("strict-transport-security", "max-age=31536000");
  // Every page shows who is signed in, and a page loaded before the sign-in stays open after it. So no
  // page is cached, and after signing out the Back button shows no orders. Scripts and styles do not
  // come this way: they are the same for everyone and are cached for good.
  headers.set("cache-control", "private, no-store");
}
