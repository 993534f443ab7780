import { AsyncLocalStorage } from "node:async_hooks";
import type { Query, Schema } from "mongoose";
import { CallError } from "./errors.ts";

// The deadline of the current call, available to all code that runs in it. After the deadline no caller waits
// for the response, so further database queries would only take capacity from other calls.

/**
 * A query gets less than the whole remaining time, so that its failure can still be reported to the caller.
 */
const QUERY_SHARE = 0.9;

interface Deadline {
  at: number;
  /** The maximum time of a single query. */
  longestQueryMs: number;
  /** The caller has disconnected, or its own deadline has passed. */
  gone: Pick<AbortSignal, "aborted">;
  /** The call has ended. Work that it started and did not wait for has no deadline. */
  over: boolean;
}

const current = new AsyncLocalStorage<Deadline | undefined>();

/** Runs the work of a call with a time limit, and no longer than its caller waits. */
export async function runWithDeadline<T>(
  ms: number,
  gone: Pick<AbortSignal, "aborted">,
  work: () => Promise<T>,
): Promise<T> {
  const at = performance.now() + ms;
  const deadline = { at, longestQueryMs: ms * QUERY_SHARE, gone, over: false };
  return current.run(deadline, work).finally(() => (deadline.over = true));
}

/** Runs work that must be completed and stored even after the deadline, such as a payment that was made. */
export const runWithoutDeadline = <T>(work: () => T): T => current.run(undefined, work);

/** The current deadline, or undefined if there is none. */
function awaited(): Deadline | undefined {
  const deadline = current.getStore();
  return deadline?.over ? undefined : deadline;
}

/** The remaining time of the call in milliseconds, or undefined if there is no deadline. */
export function remainingMs(): number | undefined {
  const deadline = awaited();
  if (!deadline) return undefined;
  return deadline.gone.aborted ? 0 : deadline.at - performance.now();
}

/** Throws if the caller no longer waits for the response. */
export function requireTimeLeft(): void {
  if ((remainingMs() ?? 1) > 0) return;
  throw new CallError("TOO_SLOW", "this takes too long", { retryAfterMs: 1_000 });
}

/** The time limit of the next query in milliseconds, or undefined if there is no deadline. */
function queryLimitMs(): number | undefined {
  const left = remainingMs();
  const longest = awaited()?.longestQueryMs;
  if (left === undefined || longest === undefined) return undefined;
  return Math.ceil(Math.min(left, longest));
}

const queries = [
  ...(["find", "findOne", "countDocuments", "distinct"] as const),
  ...(["findOneAndUpdate", "findOneAndDelete", "updateOne", "updateMany"] as const),
  ...(["deleteOne", "deleteMany"] as const),
];

/**
 * A plugin for a connection: it sets the maximum time of each query and starts none after the deadline. An
 * insert that has started is completed; only the connection's timeout limits it.
 */
export function enforceDeadlines(schema: Schema): void {
  schema.pre(queries, { query: true, document: false }, function (this: Query<unknown, unknown>) {
    requireTimeLeft();
    const ms = queryLimitMs();
    if (ms !== undefined) this.maxTimeMS(ms);
  });
  schema.pre("aggregate", function () {
    requireTimeLeft();
    const ms = queryLimitMs();
    if (ms !== undefined) this.option({ maxTimeMS: ms });
  });
  schema.pre("save", requireTimeLeft);
}
