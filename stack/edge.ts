import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { render, type Settings } from "../envoy/render.ts";
import { keep, type Part } from "./part.ts";
import { freePort, portOr } from "./ports.ts";
import { run, until, type Child } from "./process.ts";

export type { Instances, Upstreams } from "../envoy/render.ts";

export interface EdgeOptions extends Omit<Settings, "port" | "adminPort" | "descriptors"> {
  /** The program. */
  readonly envoy: string;
  /** Where its configuration, the descriptors and its log lie. */
  readonly dir: string;
  /** Any other free port is taken for one that is not given or not free. */
  readonly port?: number;
  readonly log?: (line: string) => void;
  /** Gets each line that it says: one JSON object a request, and warnings. */
  readonly onLine?: (line: string) => void;
  /** Variables by which the next start recognizes what this one left behind. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Edge extends Part {
  readonly url: string;
  /** Envoy's own page, for tests and for people of this machine. */
  readonly adminUrl: string;
}

/** Starts the edge on one machine; it has auth's keys when this resolves. */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const { envoy, dir, env, onLine, log = console.log } = options;
  const port = await portOr(options.port, "The edge", log);
  const adminPort = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  const config = join(dir, "envoy.json");

  mkdirSync(dir, { recursive: true });
  const descriptors = await describe(dir);
  writeFileSync(config, JSON.stringify(render({ ...options, port, adminPort, descriptors })));

  const args = [
    ...["-c", config, "--log-level", "warn", "--file-flush-interval-msec", "200"],
    ...["--concurrency", "2", "--disable-hot-restart"],
  ];
  const part = await keep(async () => {
    const logFile = join(dir, "envoy.log");
    const child = run("edge", envoy, args, {
      logFile,
      ...(onLine && { onLine }),
      ...(env && { env }),
    });
    await until(() => isReady(url, adminUrl), { what: "the edge to have auth's keys", child });
    return child;
  });
  return Object.assign(part, { url, adminUrl, stop: () => stop(part.child, adminUrl) });
}

/** Writes what the contracts say to a file that Envoy reads, and gives its name. */
export async function describe(dir: string): Promise<string> {
  const root = join(import.meta.dirname, "..");
  const file = join(dir, "ticketing.binpb");
  const args = ["build", "--as-file-descriptor-set", "--output", file];
  await promisify(execFile)(join(root, "node_modules/.bin/buf"), args, { cwd: root });
  return file;
}

async function isReady(url: string, adminUrl: string): Promise<boolean> {
  // The listener opens after the first try for the keys, also when that failed.
  const fetched = await counter(adminUrl, "jwt_authn.jwks_fetch_success");
  return fetched >= 2 && (await fetch(`${url}/healthz`)).ok; // two: for headers and for cookies
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
