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

/**
 * The time that calls may wait for their turn. Waiting is in order, so a call that has waited for longer
 * shows that more arrives than can be done.
 */
const LONGEST_WAIT_MS = 250;

/**
 * Accepts only as many calls as can be answered in time. Further calls are refused immediately: the client
 * retries later, and the accepted calls stay fast. A call counts until its work has ended, even if it was
 * answered earlier.
 */
export function limitConcurrency({ concurrency, capacity }: Admission): Interceptor {
  const limit = pLimit(concurrency);
  /** When each waiting call has arrived, the longest waiting first. */
  const waiting = new Set<{ since: number }>();
  const isOverloaded = (now: number): boolean => {
    if (limit.activeCount + limit.pendingCount >= capacity) return true;
    const [first] = waiting;
    return first !== undefined && now - first.since > LONGEST_WAIT_MS;
  };
  return (next) => async (req) => {
    if (req.stream) return next(req);
    const call = { since: performance.now() };
    if (isOverloaded(call.since)) {
      throw new CallError("OVERLOADED", "too many requests at once; try again in a moment", {
        retryAfterMs: 1_000,
      });
    }
    waiting.add(call);
    return limit(() => {
      waiting.delete(call);
      requireTimeLeft(); // The caller's deadline may have passed while the call waited.
      return next(req);
    });
  };
}
