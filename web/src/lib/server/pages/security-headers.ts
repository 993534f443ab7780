const stripe = {
  "script-src": "https://js.stripe.com",
  "frame-src": "https://js.stripe.com https://hooks.stripe.com",
  "connect-src": "https://api.stripe.com",
};

/** Lets Stripe's own script in, on a site that has a publishable key; nothing else from elsewhere. */
export function allowStripe(policy: string): string {
  return Object.entries(stripe).reduce(
    (text, [directive, sources]) =>
      text.replace(new RegExp(`${directive} (?:'none'|([^;]*))`), (_, own?: string) =>
        [directive, own, sources].filter(Boolean).join(" "),
      ),
    policy,
  );
}

interface Answer {
  /** Whether the browser came by TLS. */
  secure: boolean;
  /** Whether the page's address holds a secret. */
  secretAddress: boolean;
}

/** What every answer says to browsers and caches. */
export function setSecurityHeaders(headers: Headers, { secure, secretAddress }: Answer): void {
  headers.set("x-content-type-options", "nosniff");
  // Elsewhere not "no-referrer": with it forms would be sent with `Origin: null`, and refused.
  headers.set("referrer-policy", secretAddress ? "no-referrer" : "same-origin");
  headers.set("permissions-policy", "camera=(), microphone=(), geolocation=()");
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-resource-policy", "same-origin");
  if (secure) headers.set("strict-transport-security", "max-age=31536000");
  // Every page says who is signed in, and one that was loaded by a stranger goes on as somebody's own
  // without being loaded again. So none is kept, and after signing out Back shows nobody's orders. What
  // is the same for everybody (scripts, styles) does not come this way, and is kept for good.
  headers.set("cache-control", "private, no-store");
}
