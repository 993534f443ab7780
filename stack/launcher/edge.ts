import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import type { EdgeVariable } from "../../envoy/config.ts";
import { startPart, type Part } from "#stack/parts";
import { type Child, preferredPort, run, until } from "#stack/process";

/** The addresses ("127.0.0.1:9000") of the instances of a service. */
export interface Instances {
  /** h2c: gRPC, gRPC-Web and Connect. */
  readonly rpc: readonly string[];
  /** Plain HTTP/1.1; the edge uses only those of auth and payments. */
  readonly http?: readonly string[];
}

export interface Upstreams {
  readonly auth: Instances;
  readonly tickets: Instances;
  readonly orders: Instances;
  readonly payments: Instances;
  readonly web: readonly string[];
}

/** The edge's variables, as they stand in `.env.example`. */
export type EdgeVariables = { readonly [name in EdgeVariable]?: string };

export interface EdgeOptions {
  /** The program. */
  readonly envoy: string;
  /** Where the descriptors and its log lie. */
  readonly dir: string;
  readonly upstreams: Upstreams;
  /** What is set for it, in place of what our own environment says. */
  readonly variables?: EdgeVariables;
  /** Any other free port is taken for one that is not given or not free. */
  readonly port?: number;
  readonly log?: (line: string) => void;
  /** Gets each line that it says: one JSON object a request, and warnings. */
  readonly onLine?: (line: string) => void;
  /** Variables by which the next start recognizes what this one left behind. */
  readonly env?: Readonly<Record<string, string>>;
}

const main = join(import.meta.dirname, "../../envoy/main.ts");

/** One machine: the storefront is on it, there is no TLS, and everybody has the same address. */
const oneMachine: EdgeVariables = {
  TRUSTED_NETWORKS: "127.0.0.1/32,::1/128",
  SECURE_COOKIES: "false",
  EDGE_REFLECTION: "true",
  EDGE_ATTEMPTS_PER_MINUTE: "100000",
  EDGE_HOLDS_PER_MINUTE: "100000",
};

export interface Edge extends Part {
  readonly url: string;
  /** Envoy's own page, for tests and for people of this machine. */
  readonly adminUrl: string;
}

/**
 * Starts the edge on one machine, as a container does: envoy/main.ts, configured by variables alone.
 * It has auth's keys when this resolves.
 */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const { dir, env, onLine, log = console.log } = options;
  mkdirSync(dir, { recursive: true });
  const admin = adminAt(join(dir, "admin.sock"));
  const descriptors = await buildDescriptors(dir);
  // 0 lets Envoy choose, once; it keeps its choice when it is started again.
  let port = options.port ? await preferredPort(options.port, "The edge", log) : 0;
  let adminPort = 0;

  const args = [
    ...[main, "--disable-hot-restart", "--file-flush-interval-msec", "200"],
    ...["--concurrency", "2", "--log-level", "warn"],
  ];
  const part = await startPart(async () => {
    const logFile = join(dir, "envoy.log");
    const own = { port, adminPort, descriptors, adminSocket: admin.socket };
    const variables = variablesOf(options, own);
    const child = run("edge", process.execPath, args, {
      logFile,
      ...(onLine && { onLine }),
      env: { ...env, ...variables },
    });
    await until(() => admin.listenerPort("admin"), { what: "Envoy to start", child });
    const what = "the edge to have auth's keys";
    port = await until(() => portWhenReady(admin), { what, timeoutMs: 60_000, child });
    adminPort = (await admin.listenerPort("admin")) ?? 0;
    return child;
  });
  return Object.assign(part, {
    url: at(port),
    adminUrl: at(adminPort),
    stop: () => stop(part.child, admin),
  });
}

function variablesOf(
  { envoy, upstreams, variables }: EdgeOptions,
  own: { port: number; adminPort: number; adminSocket: string; descriptors: string },
): EdgeVariables {
  const { auth, tickets, orders, payments, web } = upstreams;
  const ours = Object.keys(oneMachine).filter((name) => !process.env[name]);
  return {
    ...Object.fromEntries(ours.map((name) => [name, oneMachine[name as EdgeVariable]])),
    AUTH_RPC_ADDRESSES: auth.rpc.join(),
    AUTH_HTTP_ADDRESSES: auth.http?.join() ?? "",
    TICKETS_RPC_ADDRESSES: tickets.rpc.join(),
    ORDERS_RPC_ADDRESSES: orders.rpc.join(),
    PAYMENTS_RPC_ADDRESSES: payments.rpc.join(),
    PAYMENTS_HTTP_ADDRESSES: payments.http?.join() ?? "",
    WEB_ADDRESSES: web.join(),
    ENVOY: envoy,
    HOST: "127.0.0.1",
    EDGE_PORT: String(own.port),
    EDGE_ADMIN_PORT: String(own.adminPort),
    EDGE_ADMIN_SOCKET: own.adminSocket,
    EDGE_DESCRIPTORS: own.descriptors,
    ...variables,
  };
}

/** Writes what the contracts say to a file that Envoy reads, and gives its name. */
export async function buildDescriptors(dir: string): Promise<string> {
  const root = join(import.meta.dirname, "../..");
  const file = join(dir, "ticketing.binpb");
  const args = ["build", "--as-file-descriptor-set", "--output", file];
  await promisify(execFile)(join(root, "node_modules/.bin/buf"), args, { cwd: root });
  return file;
}

async function portWhenReady(admin: Admin): Promise<number | undefined> {
  // The listener opens after the first try for the keys, also when that failed.
  const fetched = await admin.counter("jwt_authn.jwks_fetch_success");
  if (fetched < 2) return undefined; // one set for headers, one for cookies
  const port = await admin.listenerPort("edge");
  return port && (await fetch(`${at(port)}/healthz`)).ok ? port : undefined;
}

/** Lets those who wait have their answers, then ends it. */
async function stop(child: Child, admin: Admin): Promise<void> {
  if (child.running) {
    await admin.tell("healthcheck/fail");
    await admin.tell("drain_listeners?graceful&skip_exit");
    const answered = async () => (await admin.counter("edge.downstream_rq_active")) === 0;
    await until(answered, { what: "all answers", timeoutMs: 15_000, child }).catch(() => {});
  }
  await child.stop();
}

type Admin = ReturnType<typeof adminAt>;

/**
 * Envoy's own page, straight at its socket: it is there before the edge listens, and while it drains. Linux
 * has sockets that are no files, whose names may be as long as a folder's are.
 */
function adminAt(file: string) {
  const name = process.platform === "linux" ? `edge-${randomUUID()}` : undefined;

  async function ask(path: string, method = "GET"): Promise<string> {
    const socketPath = name === undefined ? file : `\0${name}`;
    const headers = { host: "localhost", connection: "close" };
    const call = request({ socketPath, path: `/${path}`, method, headers }).end();
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    return text(answer);
  }

  return {
    /** As Envoy calls it. */
    socket: name === undefined ? file : `@${name}`,
    tell: (command: string) => ask(command, "POST").catch(() => ""),
    counter: async (name: string) =>
      Number(/: (\d+)$/m.exec(await ask(`stats?filter=${name}$`))?.[1] ?? 0),
    /** Where one of its listeners is: "edge::127.0.0.1:8080". Nothing before it has a port. */
    async listenerPort(name: string): Promise<number | undefined> {
      const lines = await ask("listeners").catch(() => "");
      return Number(new RegExp(`^${name}::.*:(\\d+)$`, "m").exec(lines)?.[1] ?? 0) || undefined;
    },
  };
}

const at = (port: number) => `http://127.0.0.1:${port}`;
