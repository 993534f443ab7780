import { expect, it } from "vitest";
import { allowStripe, setSecurityHeaders } from "./security-headers.ts";

it("lets Stripe in and keeps what was allowed", () => {
  const policy =
    "default-src 'none'; script-src 'self' 'nonce-1'; connect-src 'self'; frame-src 'none'";
  expect(allowStripe(policy)).toBe(
    "default-src 'none'; script-src 'self' 'nonce-1' https://js.stripe.com; " +
      "connect-src 'self' https://api.stripe.com; " +
      "frame-src https://js.stripe.com https://hooks.stripe.com",
  );
});

const usual = { secure: false, secretAddress: false };
const said = (answer: Partial<typeof usual>) => {
  const headers = new Headers();
  setSecurityHeaders(headers, { ...usual, ...answer });
  return headers;
};

it("keeps every page out of every cache, a stranger's too, which may become somebody's", () => {
  for (const answer of [{}, { secure: true }, { secretAddress: true }])
    expect(said(answer).get("cache-control")).toBe("private, no-store");
});

it("tells nobody an address with a token in it", () => {
  expect(said({ secretAddress: true }).get("referrer-policy")).toBe("no-referrer");
  expect(said({}).get("referrer-policy")).toBe("same-origin");
});

it("asks for TLS only where the visitor came by it", () => {
  expect(said({ secure: true }).get("strict-transport-security")).toMatch(/^max-age=\d+$/);
  expect(said({}).has("strict-transport-security")).toBe(false);
});

it("keeps other sites' pages at a distance", () => {
  expect(Object.fromEntries(said({}))).toMatchObject({
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
  });
});
