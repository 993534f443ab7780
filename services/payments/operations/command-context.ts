import { parseConfig } from "#runtime/config.ts";
import { createLog } from "#runtime/log.ts";
import { connectDatabase } from "#runtime/store/database.ts";
import { paymentConfig } from "../config.ts";
import { createStripe } from "../stripe/client.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** The variables that the commands need. */
export const commandConfig = (env: Environment) =>
  parseConfig(
    paymentConfig.pick({
      MONGODB_URI: true,
      STRIPE_KEY: true,
      STRIPE_API_BASE: true,
      PUBLIC_URL: true,
    }),
    env,
  );

export const connectToDatabase = (uri: string) =>
  connectDatabase(uri, createLog("payments", "warn"));

export const stripeOf = (config: ReturnType<typeof commandConfig>) =>
  createStripe(config.STRIPE_KEY, config.STRIPE_API_BASE);
