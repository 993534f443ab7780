import { RateLimiterMemory, RateLimiterQueue } from "rate-limiter-flexible";
import Stripe from "stripe";

const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;

/** Limits the requests of work that can wait, so that other work has room within Stripe's rate limit. */
export interface RequestPace {
  /** Whether requests pause after Stripe has answered 429 Too Many Requests. */
  isPaused(): boolean;
  /** Stripe's HTTP client with this limit. */
  httpClient: Stripe.HttpClient;
}

const paused = (): Error =>
  new Error("Stripe limits our request rate; low-priority requests are paused");

/**
 * Allows this many requests per second. After a 429 it pauses for a second, twice as long after each
 * further one, up to a minute. During a pause requests fail at once, and their callers retry later.
 */
export function requestPace(perSecond: number, now: () => number = Date.now): RequestPace {
  const tokens = new RateLimiterQueue(new RateLimiterMemory({ points: perSecond, duration: 1 }));
  const inner = Stripe.createNodeHttpClient();
  let rejections = 0;
  let pausedUntil = 0;
  const isPaused = (): boolean => now() < pausedUntil;

  function observe(status: number): void {
    if (status !== 429) {
      rejections = 0;
      return;
    }
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** rejections, MAX_PAUSE_MS);
    rejections += 1;
    pausedUntil = now() + pause * (0.8 + 0.2 * Math.random());
  }

  const makeRequest: typeof inner.makeRequest = async (...request) => {
    if (isPaused()) throw paused();
    await tokens.removeTokens(1);
    const response = await inner.makeRequest(...request);
    observe(response.getStatusCode());
    return response;
  };
  const httpClient = { getClientName: () => inner.getClientName(), makeRequest };
  return { isPaused, httpClient: httpClient as Stripe.HttpClient };
}
