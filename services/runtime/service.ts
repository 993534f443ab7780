import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { DescMessage, DescService, MessageInitShape } from "@bufbuild/protobuf";
import type { Connection, Model } from "mongoose";
import type { AggregateFields } from "./store/aggregate.ts";
import type { TokenRules } from "./rpc/authentication.ts";
import { banSnapshot } from "./identity/ban-snapshot.ts";
import { subscribeToBans, type BanEvent, type ExpiringBan } from "./identity/bans.ts";
import { buildReplica, type Replica, type ReplicaSource } from "./messaging/snapshots/replica.ts";
import { connectBroker, type Broker } from "./messaging/broker.ts";
import type { ServiceConfig } from "./config.ts";
import { consume, type EventHandler } from "./messaging/consumer.ts";
import { HealthState } from "./rpc/health.ts";
import { serveHttp, type HttpHandler } from "./http.ts";
import { remoteKeys } from "./identity/keys.ts";
import { createLog, type Log } from "./log.ts";
import { isDatabaseReachable, connectDatabase, isDatabaseFault } from "./store/database.ts";
import {
  snapshotRequestHandler,
  publishMessage,
  type SnapshotPublisher,
} from "./messaging/snapshots/publisher.ts";
import { relay, type Relay } from "./messaging/relay.ts";
import { connectRedis } from "./store/redis.ts";
import { serve, type Routes } from "./rpc/server.ts";
import { publishersOf } from "./messaging/ownership.ts";
import { EVENTS_EXCHANGE, type Routing, type Subscriptions } from "./messaging/topology.ts";

/** What all services have in common: who hears which events, and all public RPCs. */
export interface Catalogue extends Routing {
  services: readonly DescService[];
  /** The events that say who is banned, for every instance that checks tokens. */
  banEvents: readonly BanEvent[];
}

interface TokenVariables {
  JWKS_URI: string;
  REDIS_URI: string;
  TOKEN_ISSUER: string;
  TOKEN_AUDIENCE: string;
  SECURE_COOKIES: boolean;
}

/** A running service: what its `main.ts` puts together, and stops in the reverse order. */
export interface Service {
  readonly log: Log;
  readonly broker: Broker;
  /** Connects to the service's own database. */
  database(uri: string): Promise<Connection>;
  /** Keeps what access tokens are checked with: the keys, and who is banned. */
  tokens(variables: TokenVariables): Promise<TokenRules>;
  /** Knows who is banned: what was before from `load`, and everything since. */
  bans(
    load: () => Promise<readonly ExpiringBan[] | undefined>,
  ): Promise<TokenRules["isBanned"] & {}>;
  /** Publishes what the aggregates record. `onSaved` passes it what was just saved. */
  relay<F extends AggregateFields>(
    model: Model<F>,
    before?: (type: string, payload: Uint8Array) => Promise<void>,
  ): Relay;
  /** Publishes a question or an answer: what belongs to no change, and so to no outbox. */
  publish<D extends DescMessage>(
    schema: D,
    subject: string,
    message: MessageInitShape<D>,
  ): Promise<void>;
  /** Answers services that ask for what this one owns, also before this one is ready. */
  publishSnapshots<F extends AggregateFields, S extends DescMessage>(
    offer: SnapshotPublisher<F, S>,
  ): EventHandler;
  /** Rebuilds copies of what another service owns, in a database that has never had all of them. */
  replica<S extends DescMessage, T>(db: Connection, copies: ReplicaSource<S, T>): Replica;
  /** Handles the events that the service hears. */
  consume(handlers: readonly EventHandler[]): Promise<void>;
  /** Does a job again and again, this many seconds after it last ended. */
  every(seconds: number, what: string, job: () => Promise<unknown>): void;
  /** Runs at the stop, after all that was begun later has ended. */
  onStop(close: () => Promise<void> | void): void;
  /** Opens the RPC port and the service's own paths, the last step: from here on calls come in. */
  serve(options: {
    routes?: Routes;
    rules?: TokenRules;
    http?: Record<string, HttpHandler>;
    /** In place of CALL_TIMEOUT_SECONDS, where calls wait for others outside. */
    callTimeoutSeconds?: number;
  }): Promise<void>;
  /** Resolves once the process was told to stop, and has. */
  untilStopped(): Promise<void>;
}

/** A fault is looked at again so often. */
const PROBE_MS = 500;

export async function startService(
  name: string,
  config: ServiceConfig,
  catalogue: Catalogue,
): Promise<Service> {
  const { subscriptions, services, banEvents } = catalogue;
  const log = createLog(name, config.LOG_LEVEL);
  endOnUncaught(log);
  const health = new HealthState();
  const closers: (() => Promise<void> | void)[] = [];
  const databases: Connection[] = [];
  const routes = new Map<string, HttpHandler>();

  health.set("", false);
  health.set("broker", false);
  // First and last: whoever probes is told that the service is starting, or stopping.
  const { HOST: host, HTTP_PORT: port } = config;
  const plain = await serveHttp({ service: name, host, port, routes, health, log });
  closers.push(() => plain.close());
  const broker = await connectBroker({
    ...catalogue,
    url: config.AMQP_URI,
    name,
    log,
    onChange: (connected) => health.set("broker", connected),
  });
  closers.push(() => broker.close());

  async function recovered(): Promise<void> {
    for (;;) {
      const all = await Promise.all(databases.map(isDatabaseReachable));
      if (all.every(Boolean)) return;
      await sleep(PROBE_MS);
    }
  }

  const follow = async (load: () => Promise<readonly ExpiringBan[] | undefined>) => {
    const bans = await subscribeToBans({ broker, log, events: banEvents, load });
    closers.push(() => bans.close());
    return bans;
  };

  async function stop(): Promise<void> {
    log.info("stopping");
    health.set("", false);
    // Calls still come until whoever spreads them has asked for our health again.
    await sleep(config.SHUTDOWN_DRAIN_SECONDS * 1000);
    for (const close of closers.toReversed()) await close();
    log.info("stopped");
  }

  return {
    log,
    broker,
    async database(uri) {
      const db = await connectDatabase(uri, log, {
        callTimeoutMs: config.CALL_TIMEOUT_SECONDS * 1000,
        connections: 2 * config.CALL_CONCURRENCY,
      });
      databases.push(db);
      closers.push(() => db.close());
      return db;
    },
    async bans(load) {
      return (await follow(load)).isBanned;
    },
    async tokens(variables) {
      const { TOKEN_ISSUER: issuer, TOKEN_AUDIENCE: audience, SECURE_COOKIES } = variables;
      const redis = await connectRedis(variables.REDIS_URI, log);
      closers.push(() => redis.destroy());
      const { isBanned, reload } = await follow(banSnapshot(redis).load);
      redis.on("ready", () => void reload());
      const keys = await remoteKeys(variables.JWKS_URI, log);
      closers.push(() => keys.close());
      return { keys: keys.get, issuer, audience, secureCookies: SECURE_COOKIES, isBanned };
    },
    relay(model, before) {
      const running = relay(model, { service: name, broker, subscriptions, log, before });
      closers.push(() => running.close());
      return running;
    },
    publish(schema, subject, message) {
      const to = { exchange: EVENTS_EXCHANGE, key: schema.typeName, subject };
      return publishMessage({ service: name, broker, log }, to, schema, message);
    },
    publishSnapshots: (offer) => snapshotRequestHandler({ service: name, broker, log }, offer),
    replica: (db, copies) => buildReplica({ service: name, broker, log }, db, copies),
    async consume(handlers) {
      mustMatch(name, subscriptions, handlers);
      const publishers = publishersOf(catalogue);
      const about = { service: name, broker, handlers, publishers, log };
      closers.push(await consume({ ...about, isFault: isDatabaseFault, recovered }));
    },
    every(seconds, what, job) {
      closers.push(repeat(seconds, what, job, log));
    },
    onStop(close) {
      closers.push(close);
    },
    async serve({ routes: rpc, rules, http = {}, callTimeoutSeconds }) {
      for (const [route, handler] of Object.entries(http)) routes.set(route, handler);
      closers.push(() => routes.clear());
      const noTokens: TokenRules = {
        keys: () => Promise.reject(new Error("no keys")),
        issuer: "",
        audience: "",
        secureCookies: true,
      };
      const server = await serve({
        host,
        port: config.RPC_PORT,
        routes: rpc ?? (() => undefined),
        rules: rules ?? noTokens,
        health,
        catalogue: services,
        log,
        callTimeoutMs: (callTimeoutSeconds ?? config.CALL_TIMEOUT_SECONDS) * 1000,
        admission: { concurrency: config.CALL_CONCURRENCY, capacity: config.CALL_CAPACITY },
      });
      closers.push(() => server.close());
      health.set("", true);
      // At any LOG_LEVEL: whoever has started us may wait for it.
      log.child({}, { level: "info" }).info({ rpc: server.port, http: plain.port }, "ready");
    },
    async untilStopped() {
      await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
      await stop();
    },
  };
}

/**
 * The last net. After an error that nobody caught, nobody knows in what state the process is: it says
 * so, and ends, to be started again by whoever watches it.
 */
function endOnUncaught(log: Log): void {
  process.on("uncaughtException", (err, origin) => {
    log.fatal({ err, origin }, "an error that nobody caught ends this process");
    process.exit(1);
  });
}

/** What a service hears and what it handles must be the same list, or events would be lost or pile up. */
function mustMatch(
  name: string,
  subscriptions: Subscriptions,
  handlers: readonly EventHandler[],
): void {
  const bound = (subscriptions[name] ?? []).map(({ typeName }) => typeName);
  const handled = handlers.map(({ type }) => type);
  const unhandled = bound.filter((type) => !handled.includes(type));
  if (unhandled.length > 0)
    throw new Error(`${name} hears but does not handle: ${unhandled.join()}`);
}

function repeat(
  seconds: number,
  what: string,
  job: () => Promise<unknown>,
  log: Log,
): () => Promise<void> {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  async function run(): Promise<void> {
    await job().catch((err: unknown) =>
      log.warn({ err: (err as Error).message }, `${what} failed; it is tried again`),
    );
    if (!stopped) timer = setTimeout(begin, seconds * 1000);
  }
  function begin(): void {
    running = run();
  }

  begin();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await running;
  };
}
