import { z } from "zod";

const flag = z.enum(["true", "false"]).transform((word) => word === "true");

/** What every service reads from its environment. Each variable has its row in `.env.example`. */
export const serviceConfig = z.object({
  HOST: z.string().default("0.0.0.0"),
  RPC_PORT: z.coerce.number().int().min(0).max(65_535).default(9000),
  HTTP_PORT: z.coerce.number().int().min(0).max(65_535).default(9001),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
  AMQP_URI: z.url({ protocol: /^amqps?$/ }),
  CALL_TIMEOUT_SECONDS: z.coerce.number().min(0.1).max(60).default(5),
  CALL_CONCURRENCY: z.coerce.number().int().min(1).max(1_000).default(64),
  CALL_CAPACITY: z.coerce.number().int().min(1).max(100_000).default(1_000),
  SHUTDOWN_DRAIN_SECONDS: z.coerce.number().min(0).max(60).default(4),
});
export type ServiceConfig = z.infer<typeof serviceConfig>;

/** A service with a database of its own. */
export const storeConfig = { MONGODB_URI: z.url({ protocol: /^mongodb(\+srv)?$/ }) };

/** A service that checks access tokens. */
export const tokenConfig = {
  JWKS_URI: z.url({ protocol: /^https?$/ }),
  REDIS_URI: z.url({ protocol: /^rediss?$/ }),
  TOKEN_ISSUER: z.string().min(1).default("ticketing"),
  TOKEN_AUDIENCE: z.string().min(1).default("ticketing"),
  /** Under TLS: session cookies have the `__Host-` prefix. Only local running turns it off. */
  SECURE_COOKIES: flag.default(true),
};

/** `true` or `false`, and nothing else. */
export const booleanVariable = flag;

/**
 * Reads a service's environment once, at the start. If values are wrong or missing, the process ends with
 * all of their names, so they can be corrected at once. No values are printed: some are secrets.
 */
export function parseConfig<S extends z.ZodType>(schema: S, env: NodeJS.ProcessEnv): z.infer<S> {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`);
  process.stderr.write(`The environment is not as it must be:\n${wrong.join("\n")}\n`);
  process.exit(78); // EX_CONFIG
}
