import { setTimeout as sleep } from "node:timers/promises";
import { toOutcome, type Arrivals, type Attempt, type Outcome } from "./load.ts";

/**
 * Runs a flow of several calls, once for each item. The load generators send single requests; a flow
 * needs the response of one call for the next.
 */
export async function drive<T>(
  items: readonly T[],
  flow: (item: T) => Promise<unknown>,
  arrivals: Arrivals,
): Promise<Outcome> {
  const attempts: Attempt[] = [];
  const attempt = async (item: T, startMs: number): Promise<void> => {
    const failure = await flow(item).then(() => undefined, String);
    attempts.push({ startMs, latencyMs: performance.now() - startMs, failure });
  };
  await (arrivals.loop === "open"
    ? openLoop(items, attempt, arrivals.perSecond)
    : closedLoop(items, attempt, arrivals.connections));
  return toOutcome(attempts);
}

type Start<T> = (item: T, startMs: number) => Promise<void>;

async function closedLoop<T>(items: readonly T[], start: Start<T>, workers: number): Promise<void> {
  const rest = items.values();
  const work = async (): Promise<void> => {
    for (const item of rest) await start(item, performance.now());
  };
  await Promise.all(Array.from({ length: workers }, work));
}

/** A late start counts from the time at which it was due. */
async function openLoop<T>(items: readonly T[], start: Start<T>, perSecond: number): Promise<void> {
  const begin = performance.now();
  const started: Promise<void>[] = [];
  for (const [i, item] of items.entries()) {
    const due = begin + (i * 1000) / perSecond;
    const wait = due - performance.now();
    if (wait > 0) await sleep(wait);
    started.push(start(item, due));
  }
  await Promise.all(started);
}
