import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect as connectSocket, createServer, type AddressInfo, type Socket } from "node:net";
import { create, createFileRegistry, setExtension, type DescService } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_wrappers,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import type { Code } from "@connectrpc/connect";
import {
  ConnectError,
  createClient,
  createRouterTransport,
  type CallOptions,
  type Client,
  type HandlerContext,
} from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "@ticketing/proto/google/rpc/error_details";
import {
  access,
  own_credentials as ownCredentials,
  type Access,
} from "@ticketing/proto/options/v1/options";
import { connect, type Channel } from "amqplib";
import {
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWTPayload,
} from "jose";
import type { Connection } from "mongoose";
import pino from "pino";
import { afterAll, inject, onTestFinished } from "vitest";
import { type Truthy, until } from "#stack/process";
import { ALGORITHM, type TokenRules } from "./auth.ts";
import { connectBroker, type Broker } from "./broker.ts";
import type { Admission } from "./calls.ts";
import { HealthState } from "./health.ts";
import { createLog, type Log } from "./log.ts";
import { connectDatabase } from "./mongo.ts";
import { interceptors, serve, type Routes, type Server } from "./server.ts";
import {
  declareTopology,
  type Routing,
  type SnapshotRoute,
  type Subscriptions,
} from "./topology.ts";
import "./testing-setup.ts"; // For the type of what it provides.

// What is made here is taken away by itself: after the test that made it, or after the last one of
// the file where it was made at its top, with `await`.

/** Runs when the test is over, or in the end where no single test is running. */
function atEnd(close: () => Promise<void>): void {
  try {
    onTestFinished(close);
  } catch {
    afterAll(close);
  }
}

export const silent: Log = createLog("test", "silent");

/** A log that keeps its lines, for what a log must say and for what it must never say. */
export function recordedLog(): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { log: pino({ level: "trace" }, { write }), lines };
}

/** The address of an empty database, which is dropped at the end. */
export function testDatabaseUri(name = `test_${randomUUID().slice(0, 13)}`): string {
  return inject("parts").mongoUrl.replace("/DATABASE?", `/${name}?`);
}

/** An empty database of the real server. */
export async function testDatabase(): Promise<Connection> {
  // A busy machine is slow, and that is no failure.
  const db = await connectDatabase(testDatabaseUri(), silent, { callTimeoutMs: 60_000 });
  atEnd(async () => {
    await db.dropDatabase();
    await db.close();
  });
  return db;
}

/** The address of an empty virtual host of the real broker. */
export async function testVhost(): Promise<string> {
  const { amqpUrl, management } = inject("parts");
  const name = `test_${randomUUID()}`;
  const authorization = `Basic ${btoa(`${management.user}:${management.password}`)}`;
  async function call(method: string, path: string, body?: object): Promise<void> {
    const answer = await fetch(`${management.url}/api/${path}`, {
      method,
      // Kept open, it may be closed just when it is used again.
      headers: { authorization, "content-type": "application/json", connection: "close" },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`RabbitMQ: ${method} ${path}: ${answer.status}`);
  }
  await call("PUT", `vhosts/${name}`);
  await call("PUT", `permissions/${name}/admin`, { configure: ".*", write: ".*", read: ".*" });
  atEnd(() => call("DELETE", `vhosts/${name}`));
  return amqpUrl.replace(/[^/]*$/, name);
}

export interface TestBroker extends Broker {
  readonly url: string;
  /** A bare channel beside it, to look into queues and to put into them what no service would. */
  readonly raw: Channel;
}

/** Gives a broker what services expect to find there. */
export async function declareAt(url: string, routing: Routing): Promise<void> {
  const connection = await connect(url);
  await declareTopology(await connection.createChannel(), routing);
  await connection.close();
}

/** A connection of a service to the real broker, in a virtual host of its own or in a given one. */
export async function testBroker(
  service: string,
  subscriptions: Subscriptions,
  options: { url?: string; log?: Log; snapshots?: readonly SnapshotRoute[] } = {},
): Promise<TestBroker> {
  const url = options.url ?? (await testVhost());
  const { log = silent, snapshots = [] } = options;
  const routing = { subscriptions, snapshots };
  await declareAt(url, routing);
  const broker = await connectBroker({ url, name: service, ...routing, log });
  const bare = await connect(url);
  bare.on("error", () => undefined);
  const raw = await bare.createChannel();
  atEnd(async () => {
    await bare.close().catch(() => undefined); // Its line may have been cut.
    await broker.close();
  });
  return Object.defineProperties(broker as TestBroker, {
    url: { value: url },
    raw: { value: raw },
  });
}

const KEY_ID = "test";
const { privateKey, publicKey } = await generateKeyPair(ALGORITHM);
const publicJwk = { ...(await exportJWK(publicKey)), kid: KEY_ID, alg: ALGORITHM };

/** What access tokens must be in tests: signed with a key that was made for them. */
export const rules: TokenRules = {
  keys: createLocalJWKSet({ keys: [publicJwk] }),
  issuer: "ticketing",
  audience: "ticketing",
  secureCookies: false,
};
export const testPublicKey: CryptoKey = publicKey;

/** An access token like auth's; `claims` says in what it is not. One set to undefined is left out. */
export function token(claims: JWTPayload = {}, key: CryptoKey = privateKey): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const usual = { iss: "ticketing", aud: "ticketing", sid: "session", roles: [], iat: now };
  return new SignJWT({ ...usual, exp: now + 300, ...claims })
    .setProtectedHeader({ alg: ALGORITHM, kid: KEY_ID })
    .sign(key);
}

const tokens = new Map<string, Promise<string>>();

/** Options of a call that make it this user's. */
export async function as(
  userId: string,
  ...roles: string[]
): Promise<{ headers: Record<string, string> }> {
  const who = [userId, ...roles].join();
  // Kept for all files of a run, which lasts longer than a token of auth's.
  const exp = Math.floor(Date.now() / 1000) + 86_400;
  const made = tokens.get(who) ?? token({ sub: userId, roles, exp });
  tokens.set(who, made);
  return { headers: { authorization: `Bearer ${await made}` } };
}

/** How long a call may take in tests: a busy machine is slow, and that is no failure. */
export const PATIENCE_MS = 600_000;

/** A client of these routes in this process, with everything between that a server has. */
export function testClient<S extends DescService>(
  service: S,
  routes: Routes,
  log: Log = silent,
  asked: TokenRules = rules,
): Client<S> {
  const router = { interceptors: interceptors(log, asked, PATIENCE_MS) };
  return createClient(service, createRouterTransport(routes, { router }));
}

/** A method of a service of words: a word goes in, a word comes out. */
export interface WordMethod {
  /** Who may call it; left out, the contract does not say. */
  access?: Access;
  /** Whether it goes by what is in the call, and not by an access token. */
  ownCredentials?: boolean;
  answer(word: string, ctx: HandlerContext): string | Promise<string>;
}

/** The calls of a service of words, by method. */
export type WordClient = Record<
  string,
  (request: { value?: string }, options?: CallOptions) => Promise<{ value: string }>
>;

const WORD = ".google.protobuf.StringValue";

/** A service that is made at run time, for what is true of every service and every contract. */
export function wordService(methods: Record<string, WordMethod>): {
  service: DescService;
  routes: Routes;
} {
  const method = Object.entries(methods).map(([name, { access: asked, ownCredentials: own }]) => {
    const options = create(MethodOptionsSchema);
    if (asked !== undefined) setExtension(options, access, asked);
    if (own !== undefined) setExtension(options, ownCredentials, own);
    return { name, inputType: WORD, outputType: WORD, options };
  });
  const file = create(FileDescriptorProtoSchema, {
    name: "test/words.proto",
    package: "test",
    syntax: "proto3",
    dependency: ["google/protobuf/wrappers.proto"],
    service: [{ name: "WordService", method }],
  });
  const service = createFileRegistry(file, (name) =>
    name === "google/protobuf/wrappers.proto" ? file_google_protobuf_wrappers : undefined,
  ).getService("test.WordService");
  if (!service) throw new Error("the service was not made");
  const handlers = service.methods.map(({ name, localName }) => [
    localName,
    async ({ value }: { value: string }, ctx: HandlerContext) => ({
      value: await methods[name]?.answer(value, ctx),
    }),
  ]);
  const routes: Routes = (router) => router.service(service, Object.fromEntries(handlers) as never);
  return { service, routes };
}

export interface TestServer extends Server {
  readonly url: string;
  readonly health: HealthState;
  /** Clients over the network, one for each protocol. */
  connect<S extends DescService>(service: S): Client<S>;
  grpc<S extends DescService>(service: S): Client<S>;
}

/** A real server on a free port. */
export async function testServer(
  routes: Routes,
  options: {
    catalogue?: readonly DescService[];
    log?: Log;
    rules?: TokenRules;
    callTimeoutMs?: number;
    admission?: Admission;
  } = {},
): Promise<TestServer> {
  const health = new HealthState();
  health.set("", true);
  const server = await serve({
    host: "127.0.0.1",
    port: 0,
    catalogue: [],
    log: silent,
    rules,
    callTimeoutMs: PATIENCE_MS,
    ...options,
    ...{ routes, health },
  });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= server.close());
  atEnd(close);
  const url = `http://127.0.0.1:${server.port}`;
  const connects = createConnectTransport({ baseUrl: url, httpVersion: "2" });
  const grpcs = createGrpcTransport({ baseUrl: url });
  return {
    port: server.port,
    url,
    health,
    close,
    connect: (service) => createClient(service, connects),
    grpc: (service) => createClient(service, grpcs),
  };
}

/** A refused call, as a program sees it. */
export interface Refusal {
  code: Code;
  /** The sentence for people. */
  message: string;
  reason: string | undefined;
  metadata: Record<string, string>;
  /** The wrong fields, each as "path REASON". */
  violations: string[];
  retryAfterMs: number | undefined;
}

/** How a call was refused; an error where it was not. */
export async function refusal(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  if (!error) throw new Error("the call was not refused");
  const [info] = error.findDetails(ErrorInfoSchema);
  const [bad] = error.findDetails(BadRequestSchema);
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    code: error.code,
    message: error.rawMessage,
    reason: info?.reason,
    metadata: { ...info?.metadata },
    violations: (bad?.fieldViolations ?? []).map(({ field, reason }) =>
      `${field} ${reason}`.trim(),
    ),
    retryAfterMs: delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6,
  };
}

/** Looks again and again until the condition gives something truthy, and gives that. */
export const eventually = <T>(
  condition: () => T | Promise<T>,
  what: string,
  timeoutMs = 20_000,
): Promise<Truthy<T>> => until(condition, { what, timeoutMs, everyMs: 10 });

/** A line to a server that can be cut and mended. */
export interface TestLine {
  readonly port: number;
  cut(): void;
  /** Nothing comes through, in either direction, and nobody is told. */
  hang(): void;
  /** As `hang`, and for those who are connected for good. */
  forget(): void;
  /** What hangs goes on, and what is cut can be connected again. */
  mend(): void;
}

/** Leads to the server at `port`. While it is cut, old connections break and new ones too. */
export async function testLine(port: number): Promise<TestLine> {
  const sockets = new Set<Socket>();
  let isCut = false;
  let isHanging = false;
  const server = createServer((from) => {
    if (isCut) return void from.destroy();
    const to = connectSocket(port, "127.0.0.1");
    for (const socket of [from, to]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => {
        sockets.delete(socket);
        from.destroy();
        to.destroy();
      });
    }
    // By hand, for a pipe would go on by itself.
    from.on("data", (bytes: Buffer) => to.write(bytes));
    to.on("data", (bytes: Buffer) => from.write(bytes));
    if (isHanging) for (const socket of [from, to]) socket.pause();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const cut = (): void => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  atEnd(async () => {
    cut();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    forget() {
      for (const socket of sockets) socket.removeAllListeners("data").resume();
    },
    hang() {
      isHanging = true;
      for (const socket of sockets) socket.pause();
    },
    mend() {
      isCut = isHanging = false;
      for (const socket of sockets) socket.resume();
    },
  };
}

/** A database address that leads through a line. */
export async function throughLine(uri: string): Promise<{ uri: string; line: TestLine }> {
  const url = new URL(uri);
  const line = await testLine(Number(url.port));
  // The driver would find the server itself if it asked the set for its members.
  url.searchParams.delete("replicaSet");
  url.searchParams.set("directConnection", "true");
  url.port = String(line.port);
  return { uri: url.href, line };
}
