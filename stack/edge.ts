import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { EdgeVariable } from "../envoy/config.ts";
import { keep, type Part } from "./part.ts";
import { portOr } from "./ports.ts";
import { run, until, type Child } from "./process.ts";

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

const main = join(import.meta.dirname, "../envoy/main.ts");

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
  const adminFile = join(dir, "admin");
  mkdirSync(dir, { recursive: true });
  const descriptors = await describe(dir);
  // 0 lets Envoy choose, once; it keeps its choice when it is started again.
  let port = options.port ? await portOr(options.port, "The edge", log) : 0;
  let adminPort = 0;

  const args = [
    ...[main, "--admin-address-path", adminFile, "--disable-hot-restart"],
    ...["--concurrency", "2", "--log-level", "warn", "--file-flush-interval-msec", "200"],
  ];
  const part = await keep(async () => {
    rmSync(adminFile, { force: true });
    const logFile = join(dir, "envoy.log");
    const variables = variablesOf(options, { port, adminPort, descriptors });
    const child = run("edge", process.execPath, args, {
      logFile,
      ...(onLine && { onLine }),
      env: { ...env, ...variables },
    });
    adminPort = await until(() => portIn(adminFile), { what: "Envoy to start", child });
    const what = "the edge to have auth's keys";
    port = await until(() => portWhenReady(at(adminPort)), { what, timeoutMs: 60_000, child });
    return child;
  });
  const adminUrl = at(adminPort);
  return Object.assign(part, {
    url: at(port),
    adminUrl,
    stop: () => stop(part.child, adminUrl),
  });
}

/** The port that Envoy wrote down; the file is there before its content is. */
const portIn = (file: string): number =>
  existsSync(file) ? Number(/:(\d+)$/.exec(readFileSync(file, "utf8"))?.[1] ?? 0) : 0;

function variablesOf(
  { envoy, upstreams, variables }: EdgeOptions,
  own: { port: number; adminPort: number; descriptors: string },
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
    EDGE_DESCRIPTORS: own.descriptors,
    ...variables,
  };
}

/** Writes what the contracts say to a file that Envoy reads, and gives its name. */
export async function describe(dir: string): Promise<string> {
  const root = join(import.meta.dirname, "..");
  const file = join(dir, "ticketing.binpb");
  const args = ["build", "--as-file-descriptor-set", "--output", file];
  await promisify(execFile)(join(root, "node_modules/.bin/buf"), args, { cwd: root });
  return file;
}

async function portWhenReady(adminUrl: string): Promise<number | undefined> {
  // The listener opens after the first try for the keys, also when that failed.
  const fetched = await counter(adminUrl, "jwt_authn.jwks_fetch_success");
  if (fetched < 2) return undefined; // one set for headers, one for cookies
  const port = await listenerPort(adminUrl);
  return port && (await fetch(`${at(port)}/healthz`)).ok ? port : undefined;
}

/** Lets those who wait have their answers, then ends it. */
async function stop(child: Child, adminUrl: string): Promise<void> {
  if (child.running) {
    await tell(adminUrl, "healthcheck/fail");
    await tell(adminUrl, "drain_listeners?graceful&skip_exit");
    const answered = async () => (await counter(adminUrl, "edge.downstream_rq_active")) === 0;
    await until(answered, { what: "all answers", timeoutMs: 15_000, child }).catch(() => {});
  }
  await child.stop();
}

async function tell(adminUrl: string, command: string): Promise<void> {
  await fetch(`${adminUrl}/${command}`, { method: "POST" }).catch(() => {});
}

async function counter(adminUrl: string, name: string): Promise<number> {
  const answer = await fetch(`${adminUrl}/stats?filter=${name}$`);
  return Number(/: (\d+)$/m.exec(await answer.text())?.[1] ?? 0);
}

async function listenerPort(adminUrl: string): Promise<number | undefined> {
  const answer = await (await fetch(`${adminUrl}/listeners`)).text(); // "edge::127.0.0.1:8080"
  const port = /^edge::.*:(\d+)$/m.exec(answer)?.[1];
  return port === undefined ? undefined : Number(port);
}

const at = (port: number) => `http://127.0.0.1:${port}`;
