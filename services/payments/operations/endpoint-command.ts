import { commandConfig, stripeOf } from "./command-context.ts";
import { fetchWebhookEndpoints } from "./webhook-endpoints.ts";

/** Checks our webhook endpoints, and returns the exit code. */
export async function endpointCommand(): Promise<number> {
  const config = commandConfig(process.env);
  const { url, own, connect } = await fetchWebhookEndpoints(stripeOf(config), config.PUBLIC_URL);
  const kinds = [
    ["webhook endpoint", own],
    ["webhook endpoint for connected accounts", connect],
  ] as const;
  for (const [kind, { exists, missing }] of kinds) {
    if (!exists) console.log(`There is no ${kind} at ${url}: add it in the Stripe Dashboard.`);
    for (const event of missing) console.log(`missing: ${event}`);
  }
  if (kinds.some(([, { missing }]) => missing.length > 0)) return 1;
  console.log(`Stripe sends all needed events to ${url}.`);
  return 0;
}
