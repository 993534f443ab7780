import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import pLimit from "p-limit";
import { requireTimeLeft, runWithDeadline } from "../call-deadline.ts";
import { CallError } from "../errors.ts";
import type { Log } from "../log.ts";
import { withDeadline } from "../deadline.ts";
import { abortState } from "./unary/call.ts";

const ours = new Set([Code.Internal, Code.Unknown, Code.DataLoss]);

/**
 * Logs every call with its result and duration, and the cause of an internal error. Requests are never
 * logged: they can contain passwords.
 */
export function logCalls(log: Log): Interceptor {
  return (next) => async (req) => {
    const begun = performance.now();
    const call = (): string => `${req.service.typeName}/${req.method.name}`;
    const ms = (): number => Math.round(performance.now() - begun);
    try {
      const res = await next(req);
      if (log.isLevelEnabled("debug")) log.debug({ call: call(), ms: ms() }, "call answered");
      return res;
    } catch (error) {
      const { code } = ConnectError.from(error, Code.Internal);
      if (ours.has(code)) log.error({ call: call(), ms: ms(), err: error }, "call failed");
      else log.debug({ call: call(), ms: ms(), code: Code[code] }, "call refused");
      throw error;
    }
  };
}

const tooSlow = (): Error =>
  new CallError("TOO_SLOW", "this takes too long", { retryAfterMs: 1_000 });

/**
 * Responds to a call that takes too long, for example because the database hangs, with an error that the
 * caller may retry. The work of the call ends at its next query, or its result is stored: a retry with the
 * same request ID finds it.
 */
export function limitTime(limitMs: number): Interceptor {
  return (next) => async (req) => {
    if (req.stream) return next(req);
    return withDeadline(
      limitMs,
      runWithDeadline(limitMs, abortState(req), () => next(req)),
      tooSlow,
    );
  };
}

/** The limits of the calls of a service. */
export interface Admission {
  /** The number of calls that are handled at once. Event handlers have their own capacity. */
  concurrency: number;
  /** The number of calls in total, including those that wait. */
  capacity: number;
}

/** A call that waits for longer than this for its turn is late. */
const LATE_MS = 250;

/** A crowd that comes at once is answered one after the other. If calls are late for longer, more arrives than can be done. */
const LATE_FOR_MS = 2_000;

/** The calls that wait for their turn, the longest waiting first. */
class Waiting {
  readonly #arrivals = new Set<{ time: number }>();
  /** Since when each call has been late; undefined if the last one was not. */
  #lateSince: number | undefined;

  /** Adds a call, and returns the function that marks its turn. */
  add(time: number): () => void {
    const arrival = { time };
    this.#arrivals.add(arrival);
    return () => {
      this.#arrivals.delete(arrival);
      const now = performance.now();
      if (now - time <= LATE_MS) this.#lateSince = undefined;
      else this.#lateSince ??= now;
    };
  }

  /** Whether calls are late, and have been for a while. */
  isLate(now: number): boolean {
    const [first] = this.#arrivals;
    if (first === undefined || now - first.time <= LATE_MS) return false;
    return now - Math.min(this.#lateSince ?? now, first.time) > LATE_FOR_MS;
  }
}

/**
 * Accepts only as many calls as can be answered in time. Further calls are refused immediately: the client
 * retries later, and the accepted calls stay fast. A call counts until its work has ended, even if it was
 * answered earlier.
 */
export function limitConcurrency({ concurrency, capacity }: Admission): Interceptor {
  const limit = pLimit(concurrency);
  const waiting = new Waiting();
  return (next) => async (req) => {
    if (req.stream) return next(req);
    const now = performance.now();
    if (limit.activeCount + limit.pendingCount >= capacity || waiting.isLate(now)) {
      throw new CallError("OVERLOADED", "too many requests at once; try again in a moment", {
        retryAfterMs: 1_000,
      });
    }
    const begin = waiting.add(now);
    return limit(() => {
      begin();
      requireTimeLeft(); // The caller's deadline may have passed while the call waited.
      return next(req);
    });
  };
}
