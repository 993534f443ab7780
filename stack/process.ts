import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
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
  const { cwd, env, logFile, onLine } = options;
  const spawned = spawn(command, args, {
    env: { ...process.env, ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    ...(cwd === undefined ? {} : { cwd }),
  });
  let exit: string | undefined;
  const exited = new Promise<string>((resolve) => {
    spawned.once("error", (error) => resolve(error.message));
    spawned.once("exit", (code, signal) => resolve(signal ?? `code ${code}`));
  }).then((how) => (exit = how));
  const { pid } = spawned;
  if (pid === undefined) throw new Error(`${name}: cannot start ${command}`);

  if (logFile !== undefined) mkdirSync(dirname(logFile), { recursive: true });
  const file = logFile === undefined ? undefined : createWriteStream(logFile, { flags: "a" });
  const recent: string[] = [];
  for (const input of [spawned.stdout, spawned.stderr]) {
    createInterface({ input }).on("line", (line) => {
      recent.push(line.slice(0, 300));
      if (recent.length > tailLines) recent.shift();
      file?.write(line + "\n");
      onLine?.(line);
    });
  }

  const child: Child = {
    name,
    pid,
    exited,
    get running() {
      return exit === undefined;
    },
    tail: () => recent.join("\n"),
    kill: (signal) => signalGroup(pid, signal),
    async stop(graceMs = 10_000) {
      // The leader alone hears the request: helpers that end first can bring their leader down.
      if (child.running) process.kill(pid, "SIGTERM");
      await Promise.race([exited, passing(graceMs, undefined, { ref: false })]);
      signalGroup(pid, "SIGKILL");
      await exited;
      children.delete(child);
    },
  };
  children.add(child);
  void exited.then(() => file?.end());
  return child;
}

/**
 * Polls until `condition` gives something truthy, and gives that. The error on giving up says what
 * was awaited, the last error, and the last words of `child`, whose end also ends the wait.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: { what: string; timeoutMs?: number; everyMs?: number; child?: Child },
): Promise<NonNullable<T>> {
  const { what, timeoutMs = 30_000, everyMs = 40, child } = options;
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    const ended = child !== undefined && !child.running;
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

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

let guarded = false;

function guard(): void {
  if (guarded) return;
  guarded = true;
  process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  let since: number | undefined;
  const end = async (signal: NodeJS.Signals) => {
    // One Ctrl-C arrives twice under npm, so only a later repeat counts as impatience.
    if (since === undefined) since = Date.now();
    else return void (Date.now() - since > 1000 && children.forEach((c) => c.kill("SIGKILL")));
    await stopAll();
    for (const each of signals) process.off(each, end);
    // Raised again, so that whoever waits for us sees the signal as our end.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  for (const each of signals) process.on(each, end);
}
