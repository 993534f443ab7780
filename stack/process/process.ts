import { spawn, type ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { readOutput, type OutputOptions } from "./output.ts";
import { stopOnExit } from "./shutdown.ts";
import { signalGroup, signalProcess } from "./signals.ts";

export interface RunOptions extends OutputOptions {
  readonly cwd?: string;
  /** Added to the environment of this process; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** A running program with all processes that it starts. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly running: boolean;
  /** How it ended, for a person: "code 1", "SIGKILL". It never rejects. */
  readonly exited: Promise<string>;
  /** The last lines of its output. */
  tail(): string;
  /** Sends a signal to its whole process group. */
  kill(signal: NodeJS.Signals): void;
  /** Sends SIGTERM to it, and SIGKILL to its process group after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

const GRACE_MS = 10_000;
/** How long the output of an ended child is read, if another process keeps the pipe open. */
const LAST_OUTPUT_MS = 500;

/**
 * Starts a program in a process group of its own. Ctrl-C at the terminal then reaches only this
 * process, which stops its children in order. They end with this process, unless it is killed.
 */
export function run(
  name: string,
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Child {
  const { cwd, env } = options;
  const spawned = spawn(command, args, {
    env: { ...process.env, ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    ...(cwd === undefined ? {} : { cwd }),
  });
  spawned.on("error", () => {}); // A missing pid reports the error at once.
  const { pid } = spawned;
  if (pid === undefined) throw new Error(`${name}: cannot start ${command}`);

  let running = true;
  const exited = exitOf(spawned, () => {
    running = false;
    forget();
    signalGroup(pid, "SIGKILL"); // At once: later the pid can belong to another process.
  });
  const child: Child = {
    name,
    pid,
    exited,
    get running() {
      return running;
    },
    tail: readOutput([spawned.stdout, spawned.stderr], options, exited),
    kill(signal) {
      if (running) signalGroup(pid, signal);
    },
    async stop(graceMs = GRACE_MS) {
      // Only the leader gets SIGTERM: RabbitMQ fails to stop if its helper processes end first.
      if (running) signalProcess(pid, "SIGTERM");
      await Promise.race([exited, sleep(graceMs, undefined, { ref: false })]);
      child.kill("SIGKILL");
      await exited;
    },
  };
  const forget = stopOnExit(child);
  return child;
}

/** Resolves to how a process ended, once all of its output has been read. */
function exitOf(spawned: ChildProcess, onExit: () => void): Promise<string> {
  return new Promise((resolve) => {
    spawned.once("exit", (code, signal) => {
      onExit();
      const settle = () => resolve(signal ?? `code ${code}`);
      spawned.once("close", settle);
      void sleep(LAST_OUTPUT_MS, undefined, { ref: false }).then(settle);
    });
  });
}
