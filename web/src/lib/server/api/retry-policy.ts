import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "@ticketing/proto/web-google/rpc/error_details";

/** How long a request waits for one service to process another's event. */
const RETRY_TIMEOUT_MS = 2_000;
const MIN_DELAY_MS = 10;

/** The delay that the error asks for, in milliseconds; undefined where a retry would not help. */
function requestedDelayMs(cause: unknown): number | undefined {
  const error = ConnectError.from(cause);
  if (error.code !== Code.Unavailable) return undefined;
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6;
}

/**
 * Retries a call while it fails with UNAVAILABLE and RetryInfo, for two seconds in all. Services are
 * eventually consistent: orders knows a new ticket, and payments a new order, once its event has arrived.
 */
export async function withRetries<T>(
  call: () => Promise<T>,
  timeoutMs = RETRY_TIMEOUT_MS,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await call();
    } catch (cause) {
      const delayMs = requestedDelayMs(cause);
      if (delayMs === undefined || Date.now() + delayMs > deadline) throw cause;
      await new Promise((resolve) => setTimeout(resolve, Math.max(delayMs, MIN_DELAY_MS)));
    }
  }
}
