import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "@ticketing/proto/web-google/rpc/error_details";

/** How long a person waits for a service to hear of what another has just done. */
const RETRY_TIMEOUT_MS = 2_000;

/** The wait that the error asks for, in milliseconds; undefined where retrying will not help. */
function requestedDelayMs(cause: unknown): number | undefined {
  const error = ConnectError.from(cause);
  if (error.code !== Code.Unavailable) return undefined;
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6;
}

/**
 * Tries again while the answer is UNAVAILABLE with RetryInfo, for two seconds in all: a ticket listed
 * a moment ago is known to orders, and an order to payments, only when its event has arrived.
 */
export async function withRetries<T>(
  call: () => Promise<T>,
  patience = RETRY_TIMEOUT_MS,
): Promise<T> {
  const end = Date.now() + patience;
  for (;;) {
    try {
      return await call();
    } catch (cause) {
      const wait = requestedDelayMs(cause);
      if (wait === undefined || Date.now() + wait > end) throw cause;
      await new Promise((resolve) => setTimeout(resolve, Math.max(wait, 10)));
    }
  }
}
