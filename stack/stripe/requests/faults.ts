import { setTimeout as pause } from "node:timers/promises";
import { type Outcome, StripeError } from "../objects/errors.ts";

/** A fault that is injected into the next matching requests. */
export interface Fault {
  /** Matches only requests with this method, and with this text in their path. */
  method?: string | undefined;
  path?: string | undefined;
  /** The number of requests that it affects, 1 by default. */
  times?: number | undefined;
  /** The delay before the request is handled, in milliseconds. */
  slow?: number | undefined;
  /** Delays the request until the faults are cleared. */
  hold?: boolean | undefined;
  /** Responds with a server error or a rate limit instead of handling the request. */
  fail?: 429 | 500 | 503 | undefined;
  /** Responds with the error after the request is handled. Its changes remain. */
  late?: boolean | undefined;
  /** Handles the request, and closes the connection without a response. */
  drop?: boolean | undefined;
}

/** The faults that a test has added. */
export class Faults {
  #ordered: (Fault & { met: number })[] = [];
  #cleared = new AbortController();

  order(fault: Fault): void {
    this.#ordered.push({ ...fault, met: 0 });
  }

  /** All added faults, each with the number of requests that it has affected. */
  get ordered(): readonly (Fault & { met: number })[] {
    return this.#ordered;
  }

  clear(): void {
    this.#ordered = [];
    this.#cleared.abort();
    this.#cleared = new AbortController();
  }

  /** The first fault that matches this request. */
  meet(method: string, path: string): Fault | undefined {
    const fault = this.#ordered.find(
      (each) =>
        each.met < (each.times ?? 1) &&
        (each.method ?? method) === method &&
        path.includes(each.path ?? ""),
    );
    if (fault) fault.met++;
    return fault;
  }

  /** Applies the delay of the fault, and throws its error if it has one. */
  async suffer({ slow = 0, hold, fail, late }: Fault): Promise<void> {
    if (slow > 0 || hold) {
      const longest = hold ? 2 ** 31 - 1 : slow;
      await pause(longest, undefined, { signal: this.#cleared.signal }).catch(() => undefined);
    }
    if (fail === 429) {
      const message = "Request rate limit exceeded.";
      const code = "rate_limit";
      throw new StripeError(429, { type: "invalid_request_error", code, message }, "invalid");
    }
    if (fail && !late) throw broken(fail, "refused");
  }
}

/** A server error of Stripe. The client cannot know whether the request was handled. */
export function broken(status = 500, outcome: Outcome): StripeError {
  return new StripeError(status, { type: "api_error", message: "Something went wrong." }, outcome);
}
