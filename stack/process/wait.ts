import { setTimeout as sleep } from "node:timers/promises";
import type { Child } from "./process.ts";
import { isShuttingDown } from "./shutdown.ts";

export type Truthy<T> = Exclude<T, false | 0 | "" | null | undefined>;

/**
 * Polls until `condition` returns a truthy value, and returns that value. On a timeout the error says
 * what was expected, the last error, and the last lines of `child`. The wait also ends with `child`.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: { what: string; timeoutMs?: number; everyMs?: number; child?: Child },
): Promise<Truthy<T>> {
  const { what, timeoutMs = 30_000, everyMs = 40, child } = options;
  const deadline = Date.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as Truthy<T>;
    } catch (error) {
      lastError = error;
    }
    const ended = child !== undefined && !child.running;
    // A shutdown stops children that others still wait for. That is not a failure to report.
    if (ended && isShuttingDown()) return new Promise(() => {});
    if (ended || Date.now() > deadline) {
      const reason = ended ? `it ended (${await child.exited})` : `${timeoutMs} ms have passed`;
      throw new Error(`Waited for ${what}, but ${reason}${details(lastError, child)}`);
    }
    await sleep(everyMs);
  }
}

function details(lastError: unknown, child: Child | undefined): string {
  const error = lastError === undefined ? "." : ` (${String(lastError)}).`;
  const lines = child === undefined ? "" : `\nThe last lines of ${child.name}:\n${child.tail()}`;
  return `${error}${lines}`;
}
