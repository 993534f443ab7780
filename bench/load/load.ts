import { groupBy } from "../figures.ts";

/** One request that a load generator sends. */
export interface Target {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/**
 * How requests arrive. A closed loop keeps some connections busy and shows what the system can do. An
 * open loop sends at a fixed rate, whether or not the responses come, so waiting is counted.
 */
export type Arrivals =
  | { readonly loop: "closed"; readonly connections: number }
  | { readonly loop: "open"; readonly perSecond: number };

/** What a load generator saw. */
export interface Outcome {
  /** The time from the first request to the last response. */
  readonly seconds: number;
  /** The latencies of the successful requests, in milliseconds. */
  readonly latenciesMs: readonly number[];
  /** The number of failed requests, by their status or error. */
  readonly failures: Readonly<Record<string, number>>;
}

/** The request of an attempt and how it went. */
export interface Attempt {
  readonly startMs: number;
  readonly latencyMs: number;
  /** Undefined if it succeeded. */
  readonly failure: string | undefined;
}

export function toOutcome(attempts: readonly Attempt[]): Outcome {
  const succeeded = attempts.filter(({ failure }) => failure === undefined);
  const failed = attempts.filter(({ failure }) => failure !== undefined);
  const start = attempts.reduce((least, { startMs }) => Math.min(least, startMs), Infinity);
  const end = attempts.reduce((most, at) => Math.max(most, at.startMs + at.latencyMs), 0);
  const byFailure = groupBy(failed, ({ failure }) => failure ?? "");
  return {
    seconds: attempts.length === 0 ? 0 : (end - start) / 1000,
    latenciesMs: succeeded.map(({ latencyMs }) => latencyMs),
    failures: Object.fromEntries([...byFailure].map(([name, list]) => [name, list.length])),
  };
}
