import { setTimeout as passing } from "node:timers/promises";
import type { Log } from "../log.ts";

/** Holds a service's consumers back while a fault of its own lasts: one fault is everybody's. */
export interface CircuitBreaker {
  /** Resolves when no fault lasts; false where the service stops first. */
  untilClosed(): Promise<boolean>;
  recordFailure(error: unknown): void;
  /** Something worked: the next fault is a new one. */
  recordSuccess(): void;
}

interface Options {
  log: Log;
  /** Resolves when the parts that the service needs answer again. */
  recovered: () => Promise<void>;
  stopping: AbortSignal;
}

/** A part may answer and still refuse, as a full disk does; so each fault without a success waits longer. */
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
      fault = passing(pauseMs, undefined, { signal: stopping })
        .then(recovered)
        .then(() => {
          fault = undefined;
          log.info("consuming goes on");
        })
        .catch(() => undefined); // Stopped while it lasted.
    },
    recordSuccess() {
      streak = 0;
    },
  };
}
