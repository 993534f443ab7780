import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { findRunning } from "./running.ts";

// `npm run payments`: payments' own command, on the marketplace that `npm start` runs from this
// folder, or on the database and the Stripe that the environment names.

const root = join(import.meta.dirname, "..");

async function environment(): Promise<NodeJS.ProcessEnv | undefined> {
  const { env } = process;
  if (env["MONGODB_URI"] && env["STRIPE_KEY"]) return env;
  const running = await findRunning();
  const uri = running?.databases["payments"];
  if (!running || !uri) return undefined;
  const { stripe, url } = running;
  return {
    PUBLIC_URL: url,
    ...env,
    MONGODB_URI: uri,
    STRIPE_KEY: stripe.key,
    ...(stripe.url !== undefined && { STRIPE_API_BASE: stripe.url }),
  };
}

const env = await environment();
if (env) {
  const command = [join(root, "services/payments/command.ts"), ...process.argv.slice(2)];
  const { status } = spawnSync(process.execPath, command, { cwd: root, env, stdio: "inherit" });
  process.exitCode = status ?? 1;
} else {
  console.error("Nothing runs here: run npm start, or give payments' MONGODB_URI and STRIPE_KEY.");
  process.exitCode = 1;
}
