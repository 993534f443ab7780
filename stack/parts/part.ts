import type { Child } from "#stack/process";

/** A real server, which tests can kill, freeze and restart on the same data and ports. */
export interface Part {
  readonly pid: number;
  readonly child: Child;
  /** Sends a signal to all its processes: SIGKILL crashes it, SIGSTOP freezes it. */
  kill(signal: NodeJS.Signals): void;
  /** Restarts it on the same data and ports, after it ended or was killed. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a part. `ready` waits until it can be used, if `start` does not. */
export async function startPart(
  start: () => Child | Promise<Child>,
  ready: (child: Child) => Promise<unknown> = async () => {},
): Promise<Part> {
  const launch = async () => {
    const started = await start();
    try {
      await ready(started);
      return started;
    } catch (error) {
      await started.stop();
      throw error;
    }
  };
  let child = await launch();
  return {
    get pid() {
      return child.pid;
    },
    get child() {
      return child;
    },
    kill: (signal) => child.kill(signal),
    async restart() {
      await child.stop();
      child = await launch();
    },
    stop: () => child.stop(),
  };
}

/** The options of every part. */
export interface PartOptions {
  /** Contains its data only. */
  readonly dir: string;
  readonly log?: (line: string) => void;
  /** Returns the secret with a name, which is the same at every start. */
  readonly secret: (name: string) => string;
  /** Variables by which a later start recognizes the processes of this one. */
  readonly env?: Readonly<Record<string, string>>;
}
