import type { Log } from "../log.ts";

interface PeriodicJob {
  seconds: number;
  /** What the job does, for the log. */
  description: string;
  job: () => Promise<unknown>;
}

/** Runs a job now, and again this many seconds after it ended. Returns the function that stops it. */
export function repeat({ seconds, description, job }: PeriodicJob, log: Log): () => Promise<void> {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  async function run(): Promise<void> {
    await job().catch((err: unknown) =>
      log.warn({ err: (err as Error).message }, `${description} failed; it is tried again`),
    );
    if (!stopped) timer = setTimeout(start, seconds * 1000);
  }
  function start(): void {
    running = run();
  }

  start();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await running;
  };
}
