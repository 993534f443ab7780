import { setTimeout as passing } from "node:timers/promises";

/** An address that is nobody's (RFC 5737). */
const NOBODYS = "192.0.2.1";

interface Means {
  fetch?: typeof fetch;
  pauseMs?: number;
}

/**
 * Asks the edge whether it believes what this server says of a visitor's address. If it does not, all
 * visitors share one address's limits. Gives why, or nothing once the edge has said that it does; it
 * waits for an edge that is not there yet.
 */
export async function proxyTrustError(
  edgeUrl: string,
  means: Means = {},
): Promise<string | undefined> {
  const { fetch: ask = fetch, pauseMs = 1_000 } = means;
  for (;;) {
    const seen = await ask(`${edgeUrl}/edge/client-address`, {
      headers: { "x-forwarded-for": NOBODYS },
      signal: AbortSignal.timeout(5_000),
    })
      .then(({ headers }) => headers.get("x-client-address"))
      .catch(() => null);
    if (seen === NOBODYS) return undefined;
    if (seen !== null)
      return (
        `The edge takes this server for a visitor at ${seen}, so all visitors would count as one. ` +
        "Name its network in the edge's TRUSTED_NETWORKS."
      );
    await passing(pauseMs, undefined, { ref: false });
  }
}
