import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../log.ts";

/** Pauses a service's consumers while a fault of the service lasts: a fault affects every message. */
export interface CircuitBreaker {
  /** Resolves with true when no fault lasts, with false if the service stops first. */
  untilClosed(): Promise<boolean>;
  recordFailure(error: unknown): void;
  /** A message was handled: the next fault is a new one. */
  recordSuccess(): void;
}

interface Options {
  log: Log;
  /** Resolves when the parts that the service needs respond again. */
  recovered: () => Promise<void>;
  stopping: AbortSignal;
}

/** A part may respond and still fail, as a full disk does: each fault without a success waits longer. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

export function circuitBreaker({ log, recovered, stopping }: Options): CircuitBreaker {
  let fault: Promise<unknown> | undefined;
  let streak = 0;
  const stopped = new Promise((resolve) => stopping.addEventListener("abort", resolve));

  return {
    async untilClosed() {
      while (fault && !stopping.aborted) await Promise.race([fault, stopped]);
      return !stopping.aborted || !fault;
    },
    recordFailure(error) {
      if (fault) return;
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** streak, LONGEST_PAUSE_MS);
      streak += 1;
      log.warn(
        { err: (error as Error).message, pauseMs },
        "consuming pauses until the fault is over",
      );
      fault = sleep(pauseMs, undefined, { signal: stopping })
        .then(recovered)
        .then(() => {
          fault = undefined;
          log.info("consuming continues");
        })
        .catch(() => undefined); // The service stopped during the fault.
    },
    recordSuccess() {
      streak = 0;
    },
  };
}
