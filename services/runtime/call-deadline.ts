import { AsyncLocalStorage } from "node:async_hooks";
import type { Query, Schema } from "mongoose";
import { CallError } from "./errors.ts";

// The deadline of the call that is being worked on, wherever its work has got to. Nobody waits for an
// answer after it, so what the work still asks of the database is time and room taken from others.

/** No query has all of a call's time: its end has yet to be told to the caller. */
const QUERY_SHARE = 0.9;

interface Deadline {
  at: number;
  /** What a single query may take. */
  longestQueryMs: number;
  /** Its caller has gone, or had less time than we. */
  gone: AbortSignal;
  /** The work has ended. What it began and did not wait for has all the time it needs. */
  over: boolean;
}

const current = new AsyncLocalStorage<Deadline | undefined>();

/** Runs a call's work, which may take so long, and no longer than its caller waits. */
export async function runWithDeadline<T>(
  ms: number,
  gone: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const at = performance.now() + ms;
  const deadline = { at, longestQueryMs: ms * QUERY_SHARE, gone, over: false };
  return current.run(deadline, work).finally(() => (deadline.over = true));
}

/** Runs work that must be finished and stored, however late: a payment that was made is one. */
export const runWithoutDeadline = <T>(work: () => T): T => current.run(undefined, work);

/** The deadline of now; undefined where nobody waits for an answer. */
function awaited(): Deadline | undefined {
  const deadline = current.getStore();
  return deadline?.over ? undefined : deadline;
}

/** How many milliseconds the call has left; undefined where nobody waits for an answer. */
export function remainingMs(): number | undefined {
  const deadline = awaited();
  if (!deadline) return undefined;
  return deadline.gone.aborted ? 0 : deadline.at - performance.now();
}

/** Ends work that nobody waits for any more. */
export function requireTimeLeft(): void {
  if ((remainingMs() ?? 1) > 0) return;
  throw new CallError("TOO_SLOW", "this takes too long", { retryAfterMs: 1_000 });
}

const queries = [
  ...(["find", "findOne", "countDocuments", "distinct"] as const),
  ...(["findOneAndUpdate", "findOneAndDelete", "updateOne", "updateMany"] as const),
  ...(["deleteOne", "deleteMany"] as const),
];

/**
 * A plugin for a connection: tells the database with each query how long it may take, and begins
 * nothing after the deadline. An insert that has begun is finished; its limit is that of the connection.
 */
export function enforceDeadlines(schema: Schema): void {
  schema.pre(queries, { query: true, document: false }, function (this: Query<unknown, unknown>) {
    requireTimeLeft();
    const left = remainingMs();
    const longest = awaited()?.longestQueryMs;
    if (left !== undefined && longest !== undefined)
      this.maxTimeMS(Math.ceil(Math.min(left, longest)));
  });
  schema.pre("save", requireTimeLeft);
}
