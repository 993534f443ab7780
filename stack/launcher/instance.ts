import { join } from "node:path";
import { type Child, run, until } from "#stack/process";

/** One running instance of a service. */
export interface Instance {
  readonly name: string;
  /** Where it speaks gRPC and Connect, and where plain HTTP: "127.0.0.1:1234". */
  readonly rpc: string;
  readonly http: string;
  readonly child: Child;
  /** Starts it again on the same ports, after a stop or a kill. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

interface Options {
  /** The service, and its instance where there are several: the name in the logs. */
  name: string;
  service: string;
  env: Readonly<Record<string, string>>;
  logFile: string;
  onLine?: (line: string) => void;
}

const root = join(import.meta.dirname, "../..");

/** The ports that an instance chose, from the line in which it says that it is ready. */
function readyLine(line: string): { rpc: number; http: number } | undefined {
  if (!line.includes('"ready"')) return undefined;
  try {
    const { msg, rpc, http } = JSON.parse(line) as { msg: string; rpc: number; http: number };
    return msg === "ready" ? { rpc, http } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Starts one instance as it runs in production: its `main.ts`, configured by environment variables
 * alone. It chooses its own free ports, so that no other process can take them in between.
 */
export async function startInstance(options: Options): Promise<Instance> {
  const { name, service, env, logFile, onLine } = options;
  let ports = { rpc: 0, http: 0 };

  async function start(): Promise<Child> {
    let ready: typeof ports | undefined;
    const child = run(name, process.execPath, [join(root, "services", service, "main.ts")], {
      cwd: root,
      env: {
        ...env,
        HOST: "127.0.0.1",
        RPC_PORT: String(ports.rpc),
        HTTP_PORT: String(ports.http),
      },
      logFile,
      onLine(line) {
        ready ??= readyLine(line);
        onLine?.(line);
      },
    });
    const wait = { what: `${name} to be ready`, timeoutMs: 60_000, child };
    try {
      ports = await until(() => ready, wait);
    } catch (error) {
      await child.stop();
      throw error;
    }
    return child;
  }

  let child = await start();
  return {
    name,
    rpc: `127.0.0.1:${ports.rpc}`,
    http: `127.0.0.1:${ports.http}`,
    get child() {
      return child;
    },
    async restart() {
      if (child.running) await child.stop();
      child = await start();
    },
    stop: () => child.stop(),
  };
}
