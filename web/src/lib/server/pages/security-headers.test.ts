import { expect, it } from "vitest";
import { allowStripe, setSecurityHeaders } from "./security-headers.ts";

it("adds Stripe to a policy and keeps the rest", () => {
  const policy =
    "default-src 'none'; script-src 'self' 'nonce-1'; connect-src 'self'; frame-src 'none'";
  expect(allowStripe(policy)).toBe(
    "default-src 'none'; script-src 'self' 'nonce-1' https://js.stripe.com; " +
      "connect-src 'self' https://api.stripe.com; " +
      "frame-src https://js.stripe.com https://hooks.stripe.com",
  );
});

const plainRequest = { secure: false, secretAddress: false };
const headersFor = (context: Partial<typeof plainRequest>) => {
  const headers = new Headers();
  setSecurityHeaders(headers, { ...plainRequest, ...context });
  return headers;
};

it("keeps every page out of every cache, even of signed-out users, who may sign in later", () => {
  for (const context of [{}, { secure: true }, { secretAddress: true }])
    expect(headersFor(context).get("cache-control")).toBe("private, no-store");
});

it("sends no Referer from an address with a token", () => {
  expect(headersFor({ secretAddress: true }).get("referrer-policy")).toBe("no-referrer");
  expect(headersFor({}).get("referrer-policy")).toBe("same-origin");
});

it("requires TLS only if the browser connected by TLS", () => {
  expect(headersFor({ secure: true }).get("strict-transport-security")).toMatch(/^max-age=\d+$/);
  expect(headersFor({}).has("strict-transport-security")).toBe(false);
});

it("isolates the page from other sites", () => {
  expect(Object.fromEntries(headersFor({}))).toMatchObject({
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
  });
});
