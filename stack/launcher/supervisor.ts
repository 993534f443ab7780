import { setTimeout as sleep } from "node:timers/promises";
import { isShuttingDown, type Child } from "#stack/process";

export interface Restartable {
  /** The current process. */
  readonly child: Child;
  restart(): Promise<void>;
}

interface Options {
  log: (line: string) => void;
  /** The backoff after the first exit. It doubles with each further exit. */
  firstPauseMs?: number;
  /** A process that has run this long is stable, and starts again with the first backoff. */
  settledMs?: number;
}

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 30_000;
const SETTLED_MS = 60_000;

/**
 * Restarts processes that end by themselves, with exponential backoff, and logs each exit. The returned
 * function stops supervision and resolves once no process is being started.
 */
export function supervise(all: readonly Restartable[], options: Options): () => Promise<void> {
  const { log, firstPauseMs = FIRST_PAUSE_MS, settledMs = SETTLED_MS } = options;
  const { signal, ...stopping } = stopSignal();
  const isStopped = () => signal.aborted || isShuttingDown();

  async function watch(one: Restartable): Promise<void> {
    for (let pause = firstPauseMs; ; pause = Math.min(pause * 2, MAX_PAUSE_MS)) {
      const startedAt = performance.now();
      const exit = await Promise.race([one.child.exited, stopping.stopped]);
      if (isStopped()) return;
      if (performance.now() - startedAt >= settledMs) pause = firstPauseMs;
      log(`${one.child.name} ended (${exit}). Restarting it in ${pause / 1000} s.`);
      await sleep(pause, undefined, { signal }).catch(() => undefined);
      if (isStopped()) return;
      await one.restart().then(
        () => log(`${one.child.name} is running again.`),
        (error: unknown) => log(`${one.child.name} did not start: ${String(error)}`),
      );
    }
  }

  const watching = all.map(watch);
  return async () => {
    stopping.stop();
    // A shutdown of this process also stops what is being started.
    if (!isShuttingDown()) await Promise.all(watching);
  };
}

function stopSignal() {
  const controller = new AbortController();
  const { promise: stopped, resolve } = Promise.withResolvers<void>();
  controller.signal.addEventListener("abort", () => resolve());
  return { signal: controller.signal, stopped, stop: () => controller.abort() };
}
