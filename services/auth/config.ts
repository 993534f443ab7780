import { z } from "zod";
import { MAX_TOKEN_SECONDS } from "#runtime/identity/bans.ts";
import { booleanVariable, serviceConfig, storeConfig } from "#runtime/config.ts";

export const authConfig = serviceConfig.extend({
  ...storeConfig,
  REDIS_URI: z.url({ protocol: /^rediss?$/ }),
  TOKEN_ISSUER: z.string().min(1).default("ticketing"),
  TOKEN_AUDIENCE: z.string().min(1).default("ticketing"),
  /** Encrypts the private keys in the database: 32 characters or more. A secret. */
  SEALING_KEY: z.string().min(32),
  /** The initial private keys, as a JWK set in JSON. If empty, they are generated. A secret. */
  SIGNING_KEYS: z.string().default(""),
  /** How long a key signs before it is rotated. */
  KEY_DAYS: z.coerce.number().positive().max(3_650).default(30),
  /** Refresh tokens are derived with this key: 32 characters or more. A secret. */
  REFRESH_KEY: z.string().min(32),
  ACCESS_TOKEN_SECONDS: z.coerce.number().int().positive().max(MAX_TOKEN_SECONDS).default(300),
  SESSION_DAYS: z.coerce.number().positive().max(365).default(30),
  /** `Secure` cookies with the `__Host-` prefix, for TLS. Only turned off on a local machine. */
  SECURE_COOKIES: booleanVariable.default(true),
  /** From all untrusted networks together. */
  ATTEMPTS_PER_ACCOUNT: z.coerce.number().int().positive().default(20),
  ATTEMPTS_PER_ACCOUNT_AND_ADDRESS: z.coerce.number().int().positive().default(10),
  ATTEMPTS_PER_ADDRESS: z.coerce.number().int().positive().default(100),
  /** Counted separately, because many people in an office share one address. */
  REFRESHES_PER_ADDRESS: z.coerce.number().int().positive().default(2_000),
  REFRESHES_PER_SESSION: z.coerce.number().int().positive().default(300),
  /** Emails to an unconfirmed address, and emails that one account requests, per window. */
  MAILS_PER_ADDRESS: z.coerce.number().int().positive().default(5),
  /** An account is sent one password reset link in this time. */
  RESET_MAIL_SECONDS: z.coerce.number().int().positive().default(300),
  /** The mail server, with user and password if it requires them. A secret. */
  SMTP_URL: z.url({ protocol: /^smtps?$/ }),
  MAIL_FROM: z
    .string()
    .min(3)
    .regex(/^\P{Cc}+$/u, "must be one line")
    .default("Ticketing <no-reply@localhost>"),
  /** The URL of the storefront, with which links in emails begin. */
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).default("http://localhost:8080"),
  ATTEMPTS_WINDOW_SECONDS: z.coerce.number().int().positive().default(900),
});

export type AuthConfig = z.infer<typeof authConfig>;
