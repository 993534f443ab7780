import { defineEnvVars } from "@sveltejs/kit/env";

/** The environment variables of the storefront's server. It does not start with an invalid value. */
export const variables = defineEnvVars({
  EDGE_URL: {
    description: "The edge's URL inside the cluster",
    schema: (value) => {
      const url = new URL(value || "http://localhost:8080");
      if (!/^https?:$/.test(url.protocol)) throw new Error("EDGE_URL must be an http(s) URL");
      return url.origin;
    },
  },
  SECURE_COOKIES: {
    description: "Whether session cookies have the prefix __Host-; false only without TLS",
    schema: (value) => {
      if (value && !["true", "false"].includes(value))
        throw new Error("SECURE_COOKIES must be true or false");
      return value !== "false";
    },
  },
  STRIPE_PUBLISHABLE_KEY: {
    description: "Stripe's publishable key (pk_…); empty for the local Stripe and its test cards",
    schema: (value) => {
      if (value && !/^pk_(test|live)_\w+$/.test(value))
        throw new Error("STRIPE_PUBLISHABLE_KEY must start with pk_test_ or pk_live_");
      return value ?? "";
    },
  },
});
