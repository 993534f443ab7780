interface Stoppable {
  kill(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** npm passes one Ctrl-C on a second time, so only a later repeat asks to stop at once. */
const REPEAT_AFTER_MS = 1000;

const children = new Set<Stoppable>();
let installed = false;
let requestedAt: number | undefined;

/** Whether this process has received a signal to end, and is stopping its children. */
export const isShuttingDown = (): boolean => requestedAt !== undefined;

/** Stops the child when this process ends, in any way but SIGKILL. Returns the way to undo that. */
export function stopOnExit(child: Stoppable): () => void {
  installHandlers();
  children.add(child);
  return () => void children.delete(child);
}

/** Stops every child, the last started first. */
async function stopAll(): Promise<void> {
  for (const child of [...children].reverse()) await child.stop();
}

function killAll(): void {
  for (const child of children) child.kill("SIGKILL");
}

function installHandlers(): void {
  if (installed) return;
  installed = true;
  process.on("exit", killAll);
  for (const signal of SIGNALS) process.on(signal, shutDown);
}

async function shutDown(signal: NodeJS.Signals): Promise<void> {
  if (requestedAt !== undefined) {
    if (Date.now() - requestedAt > REPEAT_AFTER_MS) killAll();
    return;
  }
  requestedAt = Date.now();
  await stopAll();
  for (const each of SIGNALS) process.off(each, shutDown);
  // Raised again, so that the parent process sees that this process ended by the signal.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
