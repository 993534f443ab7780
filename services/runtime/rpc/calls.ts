import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import pLimit from "p-limit";
import { requireTimeLeft, runWithDeadline } from "../call-deadline.ts";
import { CallError } from "../errors.ts";
import type { Log } from "../log.ts";
import { withDeadline } from "../deadline.ts";

const ours = new Set([Code.Internal, Code.Unknown, Code.DataLoss]);

/**
 * Logs every call with its outcome and time, and the cause of what went wrong on our side. Never a
 * request: people type passwords into those.
 */
export function logCalls(log: Log): Interceptor {
  return (next) => async (req) => {
    const begun = performance.now();
    const call = `${req.service.typeName}/${req.method.name}`;
    const ms = (): number => Math.round(performance.now() - begun);
    try {
      const res = await next(req);
      log.debug({ call, ms: ms() }, "call answered");
      return res;
    } catch (error) {
      const { code } = ConnectError.from(error, Code.Internal);
      if (ours.has(code)) log.error({ call, ms: ms(), err: error }, "call failed");
      else log.debug({ call, ms: ms(), code: Code[code] }, "call refused");
      throw error;
    }
  };
}

const tooSlow = (): Error =>
  new CallError("TOO_SLOW", "this takes too long", { retryAfterMs: 1_000 });

/**
 * Answers a call that takes too long, as when the database hangs: the caller learns that it may ask
 * again. What it began ends at its next look into the database, or is stored: a repeat under the same
 * request id finds it.
 */
export function limitTime(limitMs: number): Interceptor {
  return (next) => async (req) => {
    if (req.stream) return next(req);
    return withDeadline(
      limitMs,
      runWithDeadline(limitMs, req.signal, () => next(req)),
      tooSlow,
    );
  };
}

/** How much of a service's work calls may take up. */
export interface Admission {
  /** Calls that are worked on at once. The events that a service hears have their room beside them. */
  concurrency: number;
  /** Calls that are there at all, those that wait included. */
  capacity: number;
}

/**
 * Takes no more calls than there is room for. Those beyond are refused at once, while a refusal still
 * helps: the caller comes back later, and those who wait are answered. A call counts until its work
 * has ended, answered or not.
 */
export function limitConcurrency({ concurrency, capacity }: Admission): Interceptor {
  const limit = pLimit(concurrency);
  return (next) => async (req) => {
    if (req.stream) return next(req);
    if (limit.activeCount + limit.pendingCount >= capacity) {
      throw new CallError("OVERLOADED", "too many requests at once; try again in a moment", {
        retryAfterMs: 1_000,
      });
    }
    return limit(() => {
      requireTimeLeft(); // It may have waited for longer than its caller does.
      return next(req);
    });
  };
}
