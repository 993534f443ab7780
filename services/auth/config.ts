import { z } from "zod";
import { MAX_TOKEN_SECONDS } from "#runtime/identity/bans.ts";
import { booleanVariable, serviceConfig, storeConfig } from "#runtime/config.ts";

export const authConfig = serviceConfig.extend({
  ...storeConfig,
  REDIS_URI: z.url({ protocol: /^rediss?$/ }),
  TOKEN_ISSUER: z.string().min(1).default("ticketing"),
  TOKEN_AUDIENCE: z.string().min(1).default("ticketing"),
  /** What private keys are kept under in the database: 32 characters or more. A secret. */
  SEALING_KEY: z.string().min(32),
  /** A JWK set of private keys as JSON, to begin with; without, they are made. A secret. */
  SIGNING_KEYS: z.string().default(""),
  /** How long a key signs before the next one does. */
  KEY_DAYS: z.coerce.number().positive().max(3_650).default(30),
  /** What refresh tokens are derived with: 32 characters or more. A secret. */
  REFRESH_KEY: z.string().min(32),
  ACCESS_TOKEN_SECONDS: z.coerce.number().int().positive().max(MAX_TOKEN_SECONDS).default(300),
  SESSION_DAYS: z.coerce.number().positive().max(365).default(30),
  /** Under TLS: `Secure` cookies with the `__Host-` prefix. Only local running turns it off. */
  SECURE_COOKIES: booleanVariable.default(true),
  /** Of all addresses together that the account has not signed in from of late. */
  ATTEMPTS_PER_ACCOUNT: z.coerce.number().int().positive().default(20),
  ATTEMPTS_PER_ACCOUNT_AND_ADDRESS: z.coerce.number().int().positive().default(10),
  ATTEMPTS_PER_ADDRESS: z.coerce.number().int().positive().default(100),
  /** Apart from the others: many honest people renew their sessions from one office's address. */
  REFRESHES_PER_ADDRESS: z.coerce.number().int().positive().default(2_000),
  REFRESHES_PER_SESSION: z.coerce.number().int().positive().default(300),
  /** To an address that nobody has confirmed, and by one account, in a window. */
  MAILS_PER_ADDRESS: z.coerce.number().int().positive().default(5),
  /** In this time an account is sent one link that sets a new password. */
  RESET_MAIL_SECONDS: z.coerce.number().int().positive().default(300),
  /** Where mail goes out, with user and password if it asks for them. A secret. */
  SMTP_URL: z.url({ protocol: /^smtps?$/ }),
  MAIL_FROM: z
    .string()
    .min(3)
    .regex(/^\P{Cc}+$/u, "must be one line")
    .default("Ticketing <no-reply@localhost>"),
  /** Where people see the storefront: what links in mails begin with. */
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).default("http://localhost:8080"),
  ATTEMPTS_WINDOW_SECONDS: z.coerce.number().int().positive().default(900),
});

export type AuthConfig = z.infer<typeof authConfig>;
