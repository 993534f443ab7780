import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { EdgeVariable } from "../../envoy/config/edge-config.ts";
import { edgeAdmin, type EdgeAdmin } from "./edge-admin.ts";
import { publicServices } from "#marketplace/catalogue.ts";
import { startPart, type Part, type ServiceWithDatabase } from "#stack/parts";
import { type Child, preferredPort, run, until } from "#stack/process";

/** The addresses ("127.0.0.1:9000") of the instances of a service. */
export interface Instances {
  /** h2c: gRPC, gRPC-Web and Connect. */
  readonly rpc: readonly string[];
  /** Plain HTTP/1.1, which the edge uses for auth and payments only. */
  readonly http?: readonly string[];
}

export type Upstreams = Readonly<Record<ServiceWithDatabase, Instances>> & {
  readonly web: readonly string[];
};

/** The edge's variables, as in `.env.example`. */
export type EdgeVariables = { readonly [name in EdgeVariable]?: string };

export interface EdgeOptions {
  /** The program. */
  readonly envoy: string;
  /** Contains its descriptors and its log. */
  readonly dir: string;
  readonly upstreams: Upstreams;
  /** Variables that replace those of this process. */
  readonly variables?: EdgeVariables;
  /** The preferred port. Another free port is used if it is missing or in use. */
  readonly port?: number;
  readonly log?: (line: string) => void;
  /** Receives each line of output: a JSON object per request, and warnings. */
  readonly onLine?: (line: string) => void;
  /** Variables by which a later start recognizes the processes of this one. */
  readonly env?: Readonly<Record<string, string>>;
}

const MAIN = join(import.meta.dirname, "../../envoy/main.ts");

const KEYS_TIMEOUT_MS = 60_000;
const DRAIN_TIMEOUT_MS = 15_000;
/** Envoy fetches auth's keys once for tokens in headers, and once for those in cookies. */
const KEY_SETS = 2;

const urlOf = (port: number) => `http://127.0.0.1:${port}`;

/** Defaults for one machine, where there is no TLS and all clients share an address. */
const localDefaults: EdgeVariables = {
  TRUSTED_NETWORKS: "127.0.0.1/32,::1/128",
  SECURE_COOKIES: "false",
  EDGE_REFLECTION: "true",
  ...Object.fromEntries(
    ["ATTEMPTS", "HOLDS", "PAGES", "PAYMENTS", "WRITES", "SEARCHES", "READS"].map((calls) => [
      `EDGE_${calls}_PER_MINUTE`,
      "1000000",
    ]),
  ),
};

export interface Edge extends Part {
  readonly url: string;
  /** Envoy's admin interface. */
  readonly adminUrl: string;
}

/**
 * Starts the edge as a container does: envoy/main.ts, configured by variables alone. It has fetched
 * auth's keys when this resolves.
 */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const { dir, env, onLine, log = console.log } = options;
  mkdirSync(dir, { recursive: true });
  const admin = edgeAdmin(join(dir, "admin.sock"));
  const descriptors = await buildDescriptors(dir);
  // With port 0 Envoy chooses a port, which it keeps after a restart.
  let port = options.port ? await preferredPort(options.port, "The edge", log) : 0;
  let adminPort = 0;

  const args = [
    ...[MAIN, "--disable-hot-restart", "--file-flush-interval-msec", "200"],
    ...["--concurrency", "2", "--log-level", "warn"],
  ];
  const part = await startPart(async () => {
    const logFile = join(dir, "envoy.log");
    const chosen = { port, adminPort, descriptors, adminSocket: admin.socket };
    const variables = variablesOf(options, chosen);
    const child = run("edge", process.execPath, args, {
      logFile,
      ...(onLine && { onLine }),
      env: { ...env, ...variables },
    });
    await until(() => admin.listenerPort("admin"), { what: "Envoy to start", child });
    const what = "the edge to fetch auth's keys";
    port = await until(() => portWhenReady(admin), { what, timeoutMs: KEYS_TIMEOUT_MS, child });
    adminPort = (await admin.listenerPort("admin")) ?? 0;
    return child;
  });
  return Object.assign(part, {
    url: urlOf(port),
    adminUrl: urlOf(adminPort),
    stop: () => stop(part.child, admin),
  });
}

function variablesOf(
  { envoy, upstreams, variables }: EdgeOptions,
  chosen: { port: number; adminPort: number; adminSocket: string; descriptors: string },
): EdgeVariables {
  const { auth, payments, web } = upstreams;
  const unset = Object.keys(localDefaults).filter((name) => !process.env[name]);
  return {
    ...Object.fromEntries(unset.map((name) => [name, localDefaults[name as EdgeVariable]])),
    ...rpcAddresses(upstreams),
    AUTH_HTTP_ADDRESSES: auth.http?.join() ?? "",
    PAYMENTS_HTTP_ADDRESSES: payments.http?.join() ?? "",
    WEB_ADDRESSES: web.join(),
    ENVOY: envoy,
    HOST: "127.0.0.1",
    EDGE_PORT: String(chosen.port),
    EDGE_ADMIN_PORT: String(chosen.adminPort),
    EDGE_ADMIN_SOCKET: chosen.adminSocket,
    EDGE_DESCRIPTORS: chosen.descriptors,
    ...variables,
  };
}

/** The addresses of each public service, in the variable of its name. */
const rpcAddresses = (upstreams: Upstreams): EdgeVariables =>
  Object.fromEntries(
    publicServices.map((name) => [
      `${name.toUpperCase()}_RPC_ADDRESSES`,
      upstreams[name as ServiceWithDatabase].rpc.join(),
    ]),
  );

/** Compiles the contracts into a descriptor set for Envoy. Returns its path. */
export async function buildDescriptors(dir: string): Promise<string> {
  const root = join(import.meta.dirname, "../..");
  const file = join(dir, "ticketing.binpb");
  const args = ["build", "--as-file-descriptor-set", "--output", file];
  await promisify(execFile)(join(root, "node_modules/.bin/buf"), args, { cwd: root });
  return file;
}

async function portWhenReady(admin: EdgeAdmin): Promise<number | undefined> {
  // The listener opens after the first attempt to fetch the keys, even if it failed.
  const fetched = await admin.counter("jwt_authn.jwks_fetch_success");
  if (fetched < KEY_SETS) return undefined;
  const port = await admin.listenerPort("edge");
  return port && (await fetch(`${urlOf(port)}/healthz`)).ok ? port : undefined;
}

/** Drains the requests in flight, then stops the process. */
async function stop(child: Child, admin: EdgeAdmin): Promise<void> {
  if (child.running) {
    await admin.post("healthcheck/fail");
    await admin.post("drain_listeners?graceful&skip_exit");
    const isDrained = async () => (await admin.counter("edge.downstream_rq_active")) === 0;
    await until(isDrained, {
      what: "the last responses",
      timeoutMs: DRAIN_TIMEOUT_MS,
      child,
    }).catch(() => {});
  }
  await child.stop();
}
