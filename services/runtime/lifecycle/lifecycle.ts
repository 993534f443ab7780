import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../log.ts";
import type { HealthState } from "../rpc/health.ts";

type Close = () => Promise<void> | void;

/** What a service closes when it stops, in the reverse order of the start. */
export interface Lifecycle {
  onStop(close: Close): void;
  /** Resolves when the process was told to stop and everything is closed. */
  untilStopped(): Promise<void>;
}

interface Options {
  log: Log;
  health: HealthState;
  /** Load balancers need this long to notice that the service is not healthy any more. */
  drainSeconds: number;
}

export function lifecycle({ log, health, drainSeconds }: Options): Lifecycle {
  const closers: Close[] = [];
  return {
    onStop: (close) => void closers.push(close),
    async untilStopped() {
      await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
      log.info("stopping");
      health.set("", false);
      await sleep(drainSeconds * 1000);
      for (const close of closers.toReversed()) await close();
      log.info("stopped");
    },
  };
}

/**
 * Ends the process after an uncaught error: its state is unknown then. The supervisor starts it again.
 */
export function exitOnUncaughtError(log: Log): void {
  process.on("uncaughtException", (err, origin) => {
    log.fatal({ err, origin }, "an uncaught error ends this process");
    process.exit(1);
  });
}
