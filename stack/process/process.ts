import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as passing } from "node:timers/promises";

export interface RunOptions {
  readonly cwd?: string;
  /** Added to the environment of this process; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** All that the child says is appended here. */
  readonly logFile?: string;
  readonly onLine?: (line: string) => void;
}

/** A running program of ours, with everything that it starts in turn. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly running: boolean;
  /** How it ended, for a person: "code 1", "SIGKILL". It never rejects. */
  readonly exited: Promise<string>;
  /** The last lines that it said. */
  tail(): string;
  /** Signals the whole process group at once. */
  kill(signal: NodeJS.Signals): void;
  /** Asks it to end, and ends it and its descendants by force when `graceMs` have passed. */
  stop(graceMs?: number): Promise<void>;
}

const children = new Set<Child>();
const tailLines = 30;

/**
 * Starts a program in a process group of its own. A Ctrl-C at the terminal thus reaches only us,
 * and we stop the children in order; whatever way we end, short of SIGKILL, they end with us.
 */
export function run(
  name: string,
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Child {
  guard();
  const { cwd, env } = options;
  const spawned = spawn(command, args, {
    env: { ...process.env, ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    ...(cwd === undefined ? {} : { cwd }),
  });
  spawned.on("error", () => {}); // told by the missing number, and sooner
  const { pid } = spawned;
  if (pid === undefined) throw new Error(`${name}: cannot start ${command}`);

  let running = true;
  const exited = new Promise<string>((resolve) => {
    spawned.once("exit", (code, signal) => {
      running = false;
      children.delete(child);
      signalGroup(pid, "SIGKILL"); // now or never: later, the number may be another's
      const told = () => resolve(signal ?? `code ${code}`);
      spawned.once("close", told); // when its last words have arrived,
      void passing(500, undefined, { ref: false }).then(told); // unless another keeps its voice
    });
  });
  const child: Child = {
    name,
    pid,
    exited,
    get running() {
      return running;
    },
    tail: listen([spawned.stdout, spawned.stderr], options, exited),
    kill(signal) {
      if (running) signalGroup(pid, signal);
    },
    async stop(graceMs = 10_000) {
      // The leader alone hears the request: helpers that end first can bring their leader down.
      if (running) signal(pid, "SIGTERM");
      await Promise.race([exited, passing(graceMs, undefined, { ref: false })]);
      child.kill("SIGKILL");
      await exited;
    },
  };
  children.add(child);
  return child;
}

/** Passes on what a child says, and gives the way to its last lines. */
function listen(
  outputs: readonly Readable[],
  { logFile, onLine }: RunOptions,
  exited: Promise<unknown>,
): () => string {
  if (logFile !== undefined) mkdirSync(dirname(logFile), { recursive: true });
  const file = logFile === undefined ? undefined : createWriteStream(logFile, { flags: "a" });
  void exited.then(() => file?.end());
  const recent: string[] = [];
  for (const input of outputs) {
    createInterface({ input }).on("line", (line) => {
      recent.push(line.slice(0, 300));
      if (recent.length > tailLines) recent.shift();
      if (file?.writable) file.write(line + "\n");
      onLine?.(line);
    });
  }
  return () => recent.join("\n");
}

export type Truthy<T> = Exclude<T, false | 0 | "" | null | undefined>;

/**
 * Polls until `condition` gives something truthy, and gives that. The error on giving up says what
 * was awaited, the last error, and the last words of `child`, whose end also ends the wait.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: { what: string; timeoutMs?: number; everyMs?: number; child?: Child },
): Promise<Truthy<T>> {
  const { what, timeoutMs = 30_000, everyMs = 40, child } = options;
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as Truthy<T>;
    } catch (error) {
      last = error;
    }
    const ended = child !== undefined && !child.running;
    // When we are told to end, we end what others still wait for, which is no news to anybody.
    if (ended && toldAt !== undefined) return new Promise(() => {});
    if (ended || Date.now() > deadline) {
      const why = ended ? `it ended (${await child.exited})` : `${timeoutMs} ms have passed`;
      const hint = last === undefined ? "" : ` (${String(last)})`;
      const words =
        child === undefined ? "" : `\nThe last lines of ${child.name}:\n${child.tail()}`;
      throw new Error(`Waited for ${what}, but ${why}${hint}.${words}`);
    }
    await passing(everyMs);
  }
}

/** Stops every child, the last started first. */
export async function stopAll(): Promise<void> {
  for (const child of [...children].reverse()) await child.stop();
}

const signalGroup = (pid: number, name: NodeJS.Signals): void => signal(-pid, name);

/** One that has just ended, and of whose end we have not been told yet, is no mistake. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Whether we were told to end, and end what we started. */
export const isShuttingDown = (): boolean => toldAt !== undefined;

let guarded = false;
let toldAt: number | undefined;

function guard(): void {
  if (guarded) return;
  guarded = true;
  process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const end = async (signal: NodeJS.Signals) => {
    // One Ctrl-C arrives twice under npm, so only a later repeat counts as impatience.
    if (toldAt !== undefined) {
      if (Date.now() - toldAt > 1000) children.forEach((child) => child.kill("SIGKILL"));
      return;
    }
    toldAt = Date.now();
    await stopAll();
    for (const each of signals) process.off(each, end);
    // Raised again, so that whoever waits for us sees the signal as our end.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  for (const each of signals) process.on(each, end);
}
