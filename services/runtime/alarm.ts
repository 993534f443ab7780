import type { Log } from "./log.ts";
import { HOUR_MS } from "./values/time.ts";

interface Options<T> {
  log: Log;
  now: () => number;
  message: string;
  /** The ID of what the alarm is about. */
  idOf: (finding: T) => string;
}

/**
 * Raises an alarm for each finding: an error in the log for a person to act on, once, and again every
 * hour while the finding lasts. Returns the function that takes the current findings.
 */
export function alarm<T extends object>({ log, now, message, idOf }: Options<T>) {
  const raised = new Map<string, number>();
  return (findings: readonly T[]): void => {
    for (const [id, time] of raised) if (now() - time >= HOUR_MS) raised.delete(id);
    for (const finding of findings) {
      if (raised.has(idOf(finding))) continue;
      raised.set(idOf(finding), now());
      const fields: object = { alarm: true, ...finding };
      log.error(fields, message);
    }
  };
}
