import { once } from "node:events";
import { z } from "zod";
import { startStripe } from "./server.ts";

const config = z
  .object({
    STRIPE_PORT: z.coerce.number().int().min(0).max(65_535),
    STRIPE_HOST: z.string().min(1).default("127.0.0.1"),
    STRIPE_DIR: z.string().min(1),
    STRIPE_KEY: z.string().min(1),
    STRIPE_WEBHOOK_URL: z.url().optional(),
    STRIPE_WEBHOOK_SECRET: z.string().min(1).optional(),
    STRIPE_PUBLIC_URL: z.url().optional(),
    STRIPE_TEST: z.stringbool().default(false),
  })
  .refine((env) => !env.STRIPE_WEBHOOK_URL === !env.STRIPE_WEBHOOK_SECRET, {
    error: "STRIPE_WEBHOOK_URL and STRIPE_WEBHOOK_SECRET go together",
  })
  .parse(process.env);

const { STRIPE_WEBHOOK_URL: url, STRIPE_WEBHOOK_SECRET: secret } = config;
const stripe = await startStripe({
  port: config.STRIPE_PORT,
  host: config.STRIPE_HOST,
  dir: config.STRIPE_DIR,
  secretKey: config.STRIPE_KEY,
  webhook: url && secret ? { url, secret } : undefined,
  publicUrl: config.STRIPE_PUBLIC_URL,
  test: config.STRIPE_TEST,
});
console.log(`stripe listening on ${config.STRIPE_HOST}:${stripe.port}`);

await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
await stripe.close();
