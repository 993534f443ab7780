import { setTimeout as sleep } from "node:timers/promises";

/** An address that no host has (RFC 5737). */
const TEST_ADDRESS = "192.0.2.1";
const REQUEST_TIMEOUT_MS = 5_000;
const RETRY_DELAY_MS = 1_000;

interface Options {
  fetch?: typeof fetch;
  retryDelayMs?: number;
}

/**
 * Checks that the edge trusts the client address that this server forwards. If it does not, all users
 * share the rate limits of one address. Returns what is wrong, or nothing. Waits while the edge cannot be
 * reached.
 */
export async function proxyTrustError(
  edgeUrl: string,
  options: Options = {},
): Promise<string | undefined> {
  const { fetch: request = fetch, retryDelayMs = RETRY_DELAY_MS } = options;
  for (;;) {
    const clientAddress = await request(`${edgeUrl}/edge/client-address`, {
      headers: { "x-forwarded-for": TEST_ADDRESS },
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    })
      .then(({ headers }) => headers.get("x-client-address"))
      .catch(() => null);
    if (clientAddress === TEST_ADDRESS) return undefined;
    if (clientAddress !== null)
      return (
        `The edge takes this server for a client at ${clientAddress}, so all users would share one rate limit. ` +
        "Add its network to the edge's TRUSTED_NETWORKS."
      );
    await sleep(retryDelayMs, undefined, { ref: false });
  }
}
