import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { DomainError } from "./errors.ts";
import type { Log } from "./log.ts";
import { within } from "./within.ts";

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

/**
 * Answers a call that takes too long, as when the database hangs: the caller learns that it may ask
 * again. What it began goes on, and a repeat under the same request id finds it.
 */
export function inTime(limitMs: number): Interceptor {
  return (next) => async (req) => {
    if (req.stream) return next(req);
    const tooSlow = (): Error =>
      new DomainError("TOO_SLOW", "this takes too long", { retryAfterMs: 1_000 });
    return within(limitMs, next(req), tooSlow);
  };
}
