import { z } from "zod";
import { booleanVariable, serviceConfig, storeConfig } from "#runtime/config.ts";

export const authConfig = serviceConfig.extend({
  ...storeConfig,
  REDIS_URI: z.url({ protocol: /^rediss?$/ }),
  TOKEN_ISSUER: z.string().min(1).default("ticketing"),
  TOKEN_AUDIENCE: z.string().min(1).default("ticketing"),
  /** A JWK set of private keys as JSON: the first signs, all are published. A secret. */
  SIGNING_KEYS: z.string().min(1),
  /** What refresh tokens are derived with: 32 characters or more. A secret. */
  REFRESH_KEY: z.string().min(32),
  ACCESS_TOKEN_SECONDS: z.coerce.number().int().positive().max(3_600).default(300),
  SESSION_DAYS: z.coerce.number().positive().max(365).default(30),
  /** Under TLS: `Secure` cookies with the `__Host-` prefix. Only local running turns it off. */
  SECURE_COOKIES: booleanVariable.default(true),
  ATTEMPTS_PER_ACCOUNT: z.coerce.number().int().positive().default(20),
  ATTEMPTS_PER_ADDRESS: z.coerce.number().int().positive().default(100),
  /** Apart from the others: many honest people renew their sessions from one office's address. */
  REFRESHES_PER_ADDRESS: z.coerce.number().int().positive().default(2_000),
  ATTEMPTS_WINDOW_SECONDS: z.coerce.number().int().positive().default(900),
});
