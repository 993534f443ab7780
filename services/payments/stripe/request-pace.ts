import { RateLimiterMemory, RateLimiterQueue } from "rate-limiter-flexible";
import Stripe from "stripe";

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** How fast what can wait may ask Stripe, so that what cannot has room within Stripe's own limit. */
export interface RequestPace {
  /** Whether Stripe has said that it is asked too much, and has not had its pause yet. */
  isPaused(): boolean;
  /** Stripe's own way to the network, at this pace. */
  httpClient: Stripe.HttpClient;
}

const paused = (): Error => new Error("Stripe wants to be asked less; what can wait, waits");

/**
 * At most so many calls a second; after a 429 none for a second, twice as long after each one more, up
 * to a minute. Meanwhile calls fail at once, and whoever makes them comes back later.
 */
export function requestPace(perSecond: number, now: () => number = Date.now): RequestPace {
  const tokens = new RateLimiterQueue(new RateLimiterMemory({ points: perSecond, duration: 1 }));
  const inner = Stripe.createNodeHttpClient();
  let refusals = 0;
  let until = 0;
  const isPaused = (): boolean => now() < until;

  function hear(status: number): void {
    if (status !== 429) {
      refusals = 0;
      return;
    }
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** refusals, LONGEST_PAUSE_MS);
    refusals += 1;
    until = now() + pause * (0.8 + 0.2 * Math.random());
  }

  const makeRequest: typeof inner.makeRequest = async (...request) => {
    if (isPaused()) throw paused();
    await tokens.removeTokens(1);
    const response = await inner.makeRequest(...request);
    hear(response.getStatusCode());
    return response;
  };
  const httpClient = { getClientName: () => inner.getClientName(), makeRequest };
  return { isPaused, httpClient: httpClient as Stripe.HttpClient };
}
