import { setTimeout as passing } from "node:timers/promises";
import { type Child, isShuttingDown } from "#stack/process";

/** What can be started again where it was. */
export interface Restartable {
  /** The process of now. */
  readonly child: Child;
  restart(): Promise<void>;
}

interface Options {
  log: (line: string) => void;
  /** The pause after the first end; it doubles with each one more. */
  firstPauseMs?: number;
  /** Whoever ran for so long is not failing, and begins with the first pause again. */
  settledMs?: number;
}

const LONGEST_PAUSE_MS = 30_000;

/**
 * Starts again what ends by itself, as a cluster does: after growing pauses, and with a line that says
 * what ended and how. Resolves its answer once nothing is being started any more.
 */
export function supervise(all: readonly Restartable[], options: Options): () => Promise<void> {
  const { log, firstPauseMs = 500, settledMs = 60_000 } = options;
  const { signal, ...stopping } = controlled();

  async function watch(one: Restartable): Promise<void> {
    for (let pause = firstPauseMs; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const begun = performance.now();
      const how = await Promise.race([one.child.exited, stopping.stopped]);
      if (signal.aborted || isShuttingDown()) return;
      if (performance.now() - begun >= settledMs) pause = firstPauseMs;
      log(`${one.child.name} ended (${how}); it is started again in ${pause / 1000} s.`);
      await passing(pause, undefined, { signal }).catch(() => undefined);
      if (signal.aborted || isShuttingDown()) return;
      await one.restart().then(
        () => log(`${one.child.name} is back.`),
        (error: unknown) => log(`${one.child.name} did not start: ${String(error)}`),
      );
    }
  }

  const watching = all.map(watch);
  return async () => {
    stopping.stop();
    // When we are told to end, what is just starting ends with us.
    if (!isShuttingDown()) await Promise.all(watching);
  };
}

function controlled() {
  const controller = new AbortController();
  const { promise: stopped, resolve } = Promise.withResolvers<void>();
  controller.signal.addEventListener("abort", () => resolve());
  return { signal: controller.signal, stopped, stop: () => controller.abort() };
}
