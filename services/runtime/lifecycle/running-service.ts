import { setTimeout as sleep } from "node:timers/promises";
import type { DescMessage } from "@bufbuild/protobuf";
import type { Connection } from "mongoose";
import type { ServiceConfig } from "../config.ts";
import { serveHttp, type HttpHandler } from "./http.ts";
import { banSnapshot } from "../identity/ban-snapshot.ts";
import { subscribeToBans, type Bans, type ExpiringBan } from "../identity/bans.ts";
import { remoteKeys } from "../identity/keys.ts";
import type { TokenRules } from "../identity/tokens.ts";
import { exitOnUncaughtError, lifecycle, type Lifecycle } from "./lifecycle.ts";
import { createLog, type Log } from "../log.ts";
import { connectBroker, type Broker } from "../messaging/broker/broker.ts";
import { consume } from "../messaging/consumer.ts";
import type { EventHandler } from "../messaging/event-handler.ts";
import { publishersOf } from "../messaging/topology/ownership.ts";
import { relay } from "../messaging/relay.ts";
import {
  publishMessage,
  snapshotRequestHandler,
  type MessagingContext,
} from "../messaging/snapshots/publisher.ts";
import { buildReplica, type Replica, type ReplicaSource } from "../messaging/snapshots/replica.ts";
import type { Subscriptions } from "../messaging/topology/topology.ts";
import { repeat } from "./periodic-job.ts";
import { HealthState } from "../rpc/health.ts";
import { serve } from "../rpc/server.ts";
import type { Catalogue, ServeOptions, Service, TokenVariables } from "../service.ts";
import { connectDatabase, isDatabaseFault, isDatabaseReachable } from "../store/database.ts";
import { connectRedis } from "../store/redis.ts";

/** The interval in which a failure of a database is checked again. */
const PROBE_INTERVAL_MS = 500;

/** The parts that exist from the start. */
interface Parts {
  name: string;
  config: ServiceConfig;
  catalogue: Catalogue;
  log: Log;
  health: HealthState;
  lifecycle: Lifecycle;
  broker: Broker;
  /** The service's own HTTP routes, added by `serve`. */
  httpRoutes: Map<string, HttpHandler>;
  httpPort: number;
}

export async function openService(
  name: string,
  config: ServiceConfig,
  catalogue: Catalogue,
): Promise<Service> {
  const log = createLog(name, config.LOG_LEVEL);
  exitOnUncaughtError(log);
  const health = new HealthState();
  health.set("", false);
  health.set("broker", false);
  const life = lifecycle({ log, health, drainSeconds: config.SHUTDOWN_DRAIN_SECONDS });
  const httpRoutes = new Map<string, HttpHandler>();
  // Opened first and closed last: probes learn that the service is starting or stopping.
  const { HOST: host, HTTP_PORT: port } = config;
  const http = await serveHttp({ service: name, host, port, routes: httpRoutes, health, log });
  life.onStop(() => http.close());
  const broker = await connectBroker({
    ...catalogue,
    url: config.AMQP_URI,
    name,
    log,
    onChange: (connected) => health.set("broker", connected),
  });
  life.onStop(() => broker.close());
  return new RunningService({
    name,
    config,
    catalogue,
    log,
    health,
    lifecycle: life,
    broker,
    httpRoutes,
    httpPort: http.port,
  });
}

class RunningService implements Service {
  readonly log: Log;
  readonly broker: Broker;
  readonly #parts: Parts;
  readonly #context: MessagingContext;
  readonly #databases: Connection[] = [];

  constructor(parts: Parts) {
    const { name, broker, log } = parts;
    this.log = log;
    this.broker = broker;
    this.#parts = parts;
    this.#context = { service: name, broker, log };
  }

  async database(uri: string): Promise<Connection> {
    const { CALL_TIMEOUT_SECONDS, CALL_CONCURRENCY } = this.#parts.config;
    const db = await connectDatabase(uri, this.log, {
      callTimeoutMs: CALL_TIMEOUT_SECONDS * 1000,
      connections: 2 * CALL_CONCURRENCY,
    });
    this.#databases.push(db);
    this.onStop(() => db.close());
    return db;
  }

  async bans(load: () => Promise<readonly ExpiringBan[] | undefined>) {
    return (await this.#subscribeToBans(load)).isBanned;
  }

  async tokens(variables: TokenVariables): Promise<TokenRules> {
    const { TOKEN_ISSUER: issuer, TOKEN_AUDIENCE: audience, SECURE_COOKIES } = variables;
    const redis = await connectRedis(variables.REDIS_URI, this.log);
    this.onStop(() => redis.destroy());
    const { isBanned, reload } = await this.#subscribeToBans(banSnapshot(redis).load);
    redis.on("ready", () => void reload());
    const keys = await remoteKeys(variables.JWKS_URI, this.log);
    this.onStop(() => keys.close());
    return {
      keys: keys.get,
      keySet: keys.set,
      issuer,
      audience,
      secureCookies: SECURE_COOKIES,
      isBanned,
    };
  }

  // Typed by the interface: comparing two generic signatures of mongoose's models overstrains TypeScript.
  readonly relay: Service["relay"] = (model, before) => {
    const { subscriptions } = this.#parts.catalogue;
    const running = relay(model, { ...this.#context, subscriptions, before });
    this.onStop(() => running.close());
    return running;
  };

  // It is passed on as a function of its own, so it must not depend on `this`.
  readonly publish: Service["publish"] = (schema, subject, message) =>
    publishMessage(this.#context, { key: schema.typeName, subject }, schema, message);

  readonly publishSnapshots: Service["publishSnapshots"] = (publisher) =>
    snapshotRequestHandler(this.#context, publisher);

  replica<S extends DescMessage, T>(db: Connection, source: ReplicaSource<S, T>): Replica {
    return buildReplica(this.#context, db, source);
  }

  async consume(handlers: readonly EventHandler[]): Promise<void> {
    const { name, catalogue } = this.#parts;
    requireHandlers(name, catalogue.subscriptions, handlers);
    const stop = await consume({
      ...this.#context,
      handlers,
      publishers: publishersOf(catalogue),
      isFault: isDatabaseFault,
      recovered: () => this.#untilDatabasesReachable(),
    });
    this.onStop(stop);
  }

  every(seconds: number, description: string, job: () => Promise<unknown>): void {
    this.onStop(repeat({ seconds, description, job }, this.log));
  }

  onStop(close: () => Promise<void> | void): void {
    this.#parts.lifecycle.onStop(close);
  }

  async serve(options: ServeOptions): Promise<void> {
    const { routes, rules, http = {}, callTimeoutSeconds } = options;
    const { config, catalogue, health, httpRoutes, httpPort } = this.#parts;
    for (const [route, handler] of Object.entries(http)) httpRoutes.set(route, handler);
    this.onStop(() => httpRoutes.clear());
    const server = await serve({
      host: config.HOST,
      port: config.RPC_PORT,
      routes: routes ?? (() => undefined),
      rules: rules ?? noTokens,
      health,
      catalogue: catalogue.services,
      log: this.log,
      callTimeoutMs: (callTimeoutSeconds ?? config.CALL_TIMEOUT_SECONDS) * 1000,
      admission: { concurrency: config.CALL_CONCURRENCY, capacity: config.CALL_CAPACITY },
    });
    this.onStop(() => server.close());
    health.set("", true);
    // Logged at every LOG_LEVEL: a launcher may wait for this line.
    this.log.child({}, { level: "info" }).info({ rpc: server.port, http: httpPort }, "ready");
  }

  untilStopped(): Promise<void> {
    return this.#parts.lifecycle.untilStopped();
  }

  async #subscribeToBans(load: () => Promise<readonly ExpiringBan[] | undefined>): Promise<Bans> {
    const { broker, log } = this;
    const events = this.#parts.catalogue.banEvents;
    const bans = await subscribeToBans({ broker, log, events, load });
    this.onStop(() => bans.close());
    return bans;
  }

  async #untilDatabasesReachable(): Promise<void> {
    for (;;) {
      const reachable = await Promise.all(this.#databases.map(isDatabaseReachable));
      if (reachable.every(Boolean)) return;
      await sleep(PROBE_INTERVAL_MS);
    }
  }
}

/** For a service without methods that need a token. */
const noTokens: TokenRules = {
  keys: () => Promise.reject(new Error("no keys")),
  issuer: "",
  audience: "",
  secureCookies: true,
};

/** Requires a handler for each subscription: without one, its events would become dead letters. */
function requireHandlers(
  name: string,
  subscriptions: Subscriptions,
  handlers: readonly EventHandler[],
): void {
  const subscribed = (subscriptions[name] ?? []).map(({ typeName }) => typeName);
  const handled = new Set(handlers.map(({ type }) => type));
  const unhandled = subscribed.filter((type) => !handled.has(type));
  if (unhandled.length > 0)
    throw new Error(`${name} subscribes to events without a handler: ${unhandled.join()}`);
}
