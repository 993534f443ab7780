import type { Child } from "#stack/process";

/** A real server that we keep: it can be ended, harmed, and started again where it was. */
export interface Part {
  readonly pid: number;
  readonly child: Child;
  /** Signals all its processes: SIGKILL to crash it, SIGSTOP and SIGCONT to freeze it. */
  kill(signal: NodeJS.Signals): void;
  /** Starts it again, on the same data and ports, when it has ended or has been killed. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Makes a part of the way to start it, and of the wait until it can be used, if that is apart. */
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

/** What every part is started with. */
export interface PartOptions {
  /** Where its data lie, and nothing else's. */
  readonly dir: string;
  readonly log?: (line: string) => void;
  /** Gives the password of that name, the same at every start. */
  readonly secret: (name: string) => string;
  /** Variables by which the next start recognizes what this one left behind. */
  readonly env?: Readonly<Record<string, string>>;
}
