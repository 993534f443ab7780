import { expect, it } from "vitest";
import { admitStripe } from "./headers.ts";

it("lets Stripe in and keeps what was allowed", () => {
  const policy =
    "default-src 'none'; script-src 'self' 'nonce-1'; connect-src 'self'; frame-src 'none'";
  expect(admitStripe(policy)).toBe(
    "default-src 'none'; script-src 'self' 'nonce-1' https://js.stripe.com; " +
      "connect-src 'self' https://api.stripe.com; " +
      "frame-src https://js.stripe.com https://hooks.stripe.com",
  );
});
