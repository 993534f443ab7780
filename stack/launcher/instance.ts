import { join } from "node:path";
import { type Child, run, until } from "#stack/process";

/** One running instance of a service. */
export interface Instance {
  readonly name: string;
  /** The addresses ("127.0.0.1:1234") for gRPC and Connect, and for plain HTTP. */
  readonly rpc: string;
  readonly http: string;
  readonly child: Child;
  /** Restarts it on the same ports after it was stopped or killed. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

interface Options {
  /** The name in the logs: the service, with a number if there are several instances. */
  name: string;
  service: string;
  env: Readonly<Record<string, string>>;
  logFile: string;
  onLine?: (line: string) => void;
}

/**
 * The limits of the heap of a service and of the storefront's server, in MiB, as in the images. Node lets a
 * heap without limits grow to twice the memory. With the first limit alone, the space for new objects can
 * stay so small that collecting garbage takes most of the time.
 */
export const HEAP_OPTIONS = ["--max-old-space-size=256", "--max-semi-space-size=16"];

const root = join(import.meta.dirname, "../..");
const READY_TIMEOUT_MS = 60_000;

/** Reads the ports of an instance from its log line "ready". */
function parseReadyLine(line: string): { rpc: number; http: number } | undefined {
  if (!line.includes('"ready"')) return undefined;
  try {
    const { msg, rpc, http } = JSON.parse(line) as { msg: string; rpc: number; http: number };
    return msg === "ready" ? { rpc, http } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Starts one instance as in production: its `main.ts`, configured by environment variables alone. It
 * chooses free ports itself, so no other process can bind them first.
 */
export async function startInstance(options: Options): Promise<Instance> {
  const { name, service, env, logFile, onLine } = options;
  let ports = { rpc: 0, http: 0 };

  async function start(): Promise<Child> {
    let ready: typeof ports | undefined;
    const main = join(root, "services", service, "main.ts");
    const child = run(name, process.execPath, [...HEAP_OPTIONS, main], {
      cwd: root,
      env: {
        ...env,
        HOST: "127.0.0.1",
        RPC_PORT: String(ports.rpc),
        HTTP_PORT: String(ports.http),
      },
      logFile,
      onLine(line) {
        ready ??= parseReadyLine(line);
        onLine?.(line);
      },
    });
    const wait = { what: `${name} to be ready`, timeoutMs: READY_TIMEOUT_MS, child };
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
