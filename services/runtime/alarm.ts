import type { Log } from "./log.ts";

/** What is still wrong is said again after so long. */
const AGAIN_MS = 60 * 60_000;

interface Options {
  log: Log;
  now: () => number;
  words: string;
}

/**
 * Raises an alarm over each of the things that are found wrong: a line of the log for a person, once,
 * and again every hour that it stays so. Answers where to put what is found.
 */
export function alarm({ log, now, words }: Options) {
  const told = new Map<string, number>();
  return (found: readonly { orderId: string; attemptId?: string | undefined }[]): void => {
    for (const [id, at] of told) if (now() - at >= AGAIN_MS) told.delete(id);
    for (const about of found) {
      if (told.has(about.orderId)) continue;
      told.set(about.orderId, now());
      log.error({ alarm: true, ...about }, words);
    }
  };
}
