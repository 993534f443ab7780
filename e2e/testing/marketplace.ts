import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildWeb, startSystem, type System, type SystemOptions } from "#stack/launcher";

/** Variables that would connect a test to real servers or send real mail. */
const EXTERNAL_SERVICES = ["MONGODB_URI", "AMQP_URI", "REDIS_URI", "STRIPE_KEY", "SMTP_URL"];

/**
 * Tests create accounts, sign in and pay more often than users, all from one address. They do not renew
 * sessions, so access tokens outlive even a slow run.
 */
const UNLIMITED = {
  ACCESS_TOKEN_SECONDS: "3600",
  CARD_TRIES_PER_ACCOUNT_AND_HOUR: "100000",
  CARD_TRIES_PER_ACCOUNT_AND_DAY: "100000",
  CARD_REFUSALS_PER_ADDRESS_AND_HOUR: "100000",
  CARD_REFUSALS_PER_ADDRESS_AND_DAY: "100000",
  ATTEMPTS_PER_ACCOUNT: "100000",
  ATTEMPTS_PER_ACCOUNT_AND_ADDRESS: "100000",
  ATTEMPTS_PER_ADDRESS: "100000",
  REFRESHES_PER_ADDRESS: "100000",
  REFRESHES_PER_SESSION: "100000",
  HOLD_HALVINGS: "0",
};

/** Starts a whole marketplace in an empty folder, independent of the environment. */
export async function startMarketplace(
  name: string,
  options: Pick<SystemOptions, "instances" | "env" | "via" | "supervised" | "log">,
): Promise<{ dir: string; system: System }> {
  for (const variable of EXTERNAL_SERVICES) Reflect.deleteProperty(process.env, variable);
  const dir = await mkdtemp(join(tmpdir(), `ticketing-${name}-`));
  const output: string[] = [];
  const log = (line: string): void => {
    output.push(line);
    options.log?.(line);
  };
  await buildWeb(log);
  const env = { ...UNLIMITED, ...options.env };
  const system = await startSystem({ ...options, dir, test: true, env, log }).catch(
    (error: unknown) => {
      throw new Error(`the marketplace did not start:\n${output.join("\n")}`, { cause: error });
    },
  );
  return { dir, system };
}
