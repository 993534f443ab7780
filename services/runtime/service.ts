import type { DescMessage, DescService, MessageInitShape } from "@bufbuild/protobuf";
import type { Connection } from "mongoose";
import type { ServiceConfig } from "./config.ts";
import type { HttpHandler } from "./lifecycle/http.ts";
import type { BanEvent, ExpiringBan } from "./identity/bans.ts";
import type { TokenRules } from "./identity/tokens.ts";
import type { Log } from "./log.ts";
import type { Broker } from "./messaging/broker/broker.ts";
import type { EventHandler } from "./messaging/event-handler.ts";
import type { Relay } from "./messaging/relay.ts";
import type { SnapshotPublisher } from "./messaging/snapshots/publisher.ts";
import type { Replica, ReplicaSource } from "./messaging/snapshots/replica.ts";
import type { Routing } from "./messaging/topology/topology.ts";
import type { Routes } from "./rpc/server.ts";
import { openService } from "./lifecycle/running-service.ts";
import type { AggregateFields, AggregateModel } from "./store/aggregate.ts";

/** What all services share: the subscriptions to events, and all public RPC services. */
export interface Catalogue extends Routing {
  services: readonly DescService[];
  /** The events that ban and unban users, for every instance that checks tokens. */
  banEvents: readonly BanEvent[];
}

export interface TokenVariables {
  JWKS_URI: string;
  REDIS_URI: string;
  TOKEN_ISSUER: string;
  TOKEN_AUDIENCE: string;
  SECURE_COOKIES: boolean;
}

export interface ServeOptions {
  routes?: Routes;
  rules?: TokenRules;
  http?: Record<string, HttpHandler>;
  /** Replaces CALL_TIMEOUT_SECONDS where calls wait for external services. */
  callTimeoutSeconds?: number;
}

/** A running service. Its `main.ts` starts the parts; they stop in the reverse order. */
export interface Service {
  readonly log: Log;
  readonly broker: Broker;
  /** Connects to the service's own database. */
  database(uri: string): Promise<Connection>;
  /** Keeps what access tokens are checked with: the keys and the bans. */
  tokens(variables: TokenVariables): Promise<TokenRules>;
  /** Tells whether a user is banned: `load` returns the earlier bans, events the later ones. */
  bans(
    load: () => Promise<readonly ExpiringBan[] | undefined>,
  ): Promise<TokenRules["isBanned"] & {}>;
  /** Publishes what the aggregates record. `onSaved` passes it what was just saved. */
  relay<F extends AggregateFields>(
    model: AggregateModel<F>,
    before?: (type: string, payload: Uint8Array) => Promise<void>,
  ): Relay;
  /** Publishes a request or a response: it belongs to no change, and so to no outbox. */
  publish<D extends DescMessage>(
    schema: D,
    subject: string,
    message: MessageInitShape<D>,
  ): Promise<void>;
  /** Answers services that request snapshots of this service's data, also before it is ready. */
  publishSnapshots<F extends AggregateFields, S extends DescMessage>(
    offer: SnapshotPublisher<F, S>,
  ): EventHandler;
  /** Builds a replica of another service's data where the database has no complete one. */
  replica<S extends DescMessage, T>(db: Connection, copies: ReplicaSource<S, T>): Replica;
  /** Handles the events that the service subscribes to. */
  consume(handlers: readonly EventHandler[]): Promise<void>;
  /** Runs a job now, and again this many seconds after it ended. */
  every(seconds: number, description: string, job: () => Promise<unknown>): void;
  /** Runs when the service stops, after everything that was started later has stopped. */
  onStop(close: () => Promise<void> | void): void;
  /** Opens the RPC port and the service's own HTTP paths. It is the last step: now calls arrive. */
  serve(options: ServeOptions): Promise<void>;
  /** Resolves when the process was asked to stop and has stopped. */
  untilStopped(): Promise<void>;
}

/** Starts the parts that every service has: probes, metrics, and the connection to the broker. */
export const startService = (
  name: string,
  config: ServiceConfig,
  catalogue: Catalogue,
): Promise<Service> => openService(name, config, catalogue);
