import { setTimeout as pause } from "node:timers/promises";
import { type Outcome, StripeError } from "../objects/errors.ts";

/** A misfortune that the next matching requests meet. */
export interface Fault {
  /** Only requests of this method, and with this text in their path. */
  method?: string | undefined;
  path?: string | undefined;
  /** How many requests it meets; 1 unless said. */
  times?: number | undefined;
  /** Milliseconds before the work begins. */
  slow?: number | undefined;
  /** The work begins only when the faults are cleared. */
  hold?: boolean | undefined;
  /** An error of Stripe's own, instead of the work. */
  fail?: 429 | 500 | 503 | undefined;
  /** The error comes after the work, which stays done. */
  late?: boolean | undefined;
  /** The work is done, but the connection ends without an answer. */
  drop?: boolean | undefined;
}

/** The misfortunes that a test has ordered. */
export class Faults {
  #ordered: (Fault & { met: number })[] = [];
  #cleared = new AbortController();

  order(fault: Fault): void {
    this.#ordered.push({ ...fault, met: 0 });
  }

  /** All that were ordered, with the number of requests each has met. */
  get ordered(): readonly (Fault & { met: number })[] {
    return this.#ordered;
  }

  clear(): void {
    this.#ordered = [];
    this.#cleared.abort();
    this.#cleared = new AbortController();
  }

  /** The first that this request meets. */
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

  /** Waits as long as the fault says, and fails if it says so. */
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

/** An error of Stripe's own: its caller cannot know what was done. */
export function broken(status = 500, outcome: Outcome): StripeError {
  return new StripeError(status, { type: "api_error", message: "Something went wrong." }, outcome);
}
