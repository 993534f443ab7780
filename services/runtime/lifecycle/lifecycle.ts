import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../log.ts";
import type { HealthState } from "../rpc/health.ts";

type Close = () => Promise<void> | void;

/** What a service closes when it stops, in the reverse order of the start. */
export interface Lifecycle {
  onStop(close: Close): void;
  /** Resolves when the process was asked to stop and everything is closed. */
  untilStopped(): Promise<void>;
}

interface Options {
  log: Log;
  health: HealthState;
  /** The time that load balancers need to notice that the service is no longer healthy. */
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

/** Ends the process after an uncaught error, because its state is unknown. The supervisor restarts it. */
export function exitOnUncaughtError(log: Log): void {
  process.on("uncaughtException", (err, origin) => {
    log.fatal({ err, origin }, "an uncaught error ends this process");
    process.exit(1);
  });
}
