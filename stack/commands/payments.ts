import { runServiceCommand } from "./service-command.ts";

// `npm run payments` runs payments' own command on the marketplace that `npm start` runs from this
// folder, or on the database and the Stripe account that the environment names.

await runServiceCommand({
  module: "services/payments/operations/command.ts",
  of({ databases: { payments }, stripe, url }) {
    if (!payments) return undefined;
    return {
      PUBLIC_URL: process.env["PUBLIC_URL"] ?? url,
      MONGODB_URI: payments,
      STRIPE_KEY: stripe.key,
      ...(stripe.url !== undefined && { STRIPE_API_BASE: stripe.url }),
    };
  },
  given: ["MONGODB_URI", "STRIPE_KEY"],
  otherwise: "Nothing runs here: run npm start, or give payments' MONGODB_URI and STRIPE_KEY.",
});
