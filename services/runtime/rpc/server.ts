import { once } from "node:events";
import {
  createServer,
  type Http2Server,
  type Http2ServerRequest,
  type ServerHttp2Session,
} from "node:http2";
import type { AddressInfo } from "node:net";
import type { DescService } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createConnectRouter,
  type ConnectRouter,
  type Interceptor,
} from "@connectrpc/connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { Health } from "@ticketing/proto/grpc/health/v1/health";
import { ServerReflection } from "@ticketing/proto/grpc/reflection/v1/reflection";
import { ServerReflection as ServerReflectionAlpha } from "@ticketing/proto/grpc/reflection/v1alpha/reflection";
import { requestListener } from "./adapter.ts";
import { authenticate } from "./authentication.ts";
import { type TokenRules } from "../identity/tokens.ts";
import { correctDecodeErrors } from "./decode-errors.ts";
import { limitConcurrency, limitTime, logCalls, type Admission } from "./calls.ts";
import { domainErrors } from "./errors.ts";
import { lowercaseIds } from "./lowercase-ids.ts";
import { healthService, type HealthState } from "./health.ts";
import type { Log } from "../log.ts";
import { reflectionService } from "./reflection.ts";
import { unaryListener, type UnaryListener } from "./unary/listener.ts";
import { collectUnary, type UnaryMethod } from "./unary/methods.ts";
import { validate } from "./validate.ts";

/** Adds a service's handlers to a router. The handlers do not depend on the server. */
export type Routes = (router: ConnectRouter) => void;

export interface Server {
  port: number;
  close(): Promise<void>;
}

const CALL_TIMEOUT_MS = 5_000;
const ADMISSION: Admission = { concurrency: 64, capacity: 1_000 };

/** The interceptors of every call, outermost first. */
export const interceptors = (
  log: Log,
  rules: TokenRules,
  callTimeoutMs = CALL_TIMEOUT_MS,
  admission: Admission = ADMISSION,
): Interceptor[] => [
  logCalls(log),
  domainErrors,
  limitTime(callTimeoutMs),
  limitConcurrency(admission),
  authenticate(rules),
  validate,
  lowercaseIds,
];

const READ_LIMIT = 64 * 1024;
const WRITE_LIMIT = 1024 * 1024;
const LONGEST_CALL_MS = 60_000;
const DRAIN_MS = 10_000;
const GRACE_MS = 1_000;

interface Options {
  host: string;
  port: number;
  routes: Routes;
  rules: TokenRules;
  health: HealthState;
  /** All public services, for reflection. */
  catalogue: readonly DescService[];
  log: Log;
  /** The time after which a call is answered with an error. */
  callTimeoutMs?: number;
  /** The limits for concurrent calls. */
  admission?: Admission;
}

/**
 * Discards the rest of a refused request. Unread data would occupy memory and a stream as long as the
 * connection lives, and some clients never end a request.
 */
function discardRest(request: Http2ServerRequest): void {
  const { stream } = request;
  request.once("close", () => {
    if (request.readableEnded || stream.closed) return;
    stream.removeAllListeners("data").resume();
    const end = (): void => stream.close();
    // Not immediately: a client that is still sending would miss the response.
    setTimeout(
      () => (stream.writableFinished ? end() : stream.once("finish", end)),
      GRACE_MS,
    ).unref();
  });
}

/**
 * Lets a listener answer streams before Node makes a request and a response of them, which the lean path
 * does not need.
 */
function answerFirst(server: Http2Server, answer: UnaryListener): void {
  const others = server.listeners("stream");
  server.removeAllListeners("stream");
  server.on("stream", (stream, headers, ...more) => {
    if (answer(stream, headers)) return;
    for (const other of others) other.call(server, stream, headers, ...more);
  });
}

/**
 * Keeps the library from compressing responses of unary calls in Connect, with Brotli if the client accepts
 * it: the edge does that, for a hundredth of the cost. Streams and gRPC have headers of their own.
 */
const answerUncompressed = (handler: UniversalHandler): UniversalHandler =>
  Object.assign((request: UniversalServerRequest) => {
    request.header.delete("accept-encoding");
    return handler(request);
  }, handler);

/** Serves gRPC, gRPC-Web and Connect over cleartext HTTP/2, with health and reflection. */
export async function serve(options: Options): Promise<Server> {
  const { host, port, routes, rules, health, catalogue, log, callTimeoutMs, admission } = options;
  const shutdown = new AbortController();
  const sessions = new Set<ServerHttp2Session>();
  const reflection = reflectionService(catalogue);
  const shared = {
    interceptors: interceptors(log, rules, callTimeoutMs, admission),
    // Unknown fields are errors. Otherwise a misspelled field, such as `requestID` for `requestId`, would be
    // ignored.
    jsonOptions: { ignoreUnknownFields: false },
    readMaxBytes: READ_LIMIT,
    writeMaxBytes: WRITE_LIMIT,
    maxTimeoutMs: LONGEST_CALL_MS,
  };
  const router = createConnectRouter({
    ...shared,
    acceptCompression: [compressionGzip, compressionBrotli],
    shutdownSignal: shutdown.signal,
  });
  const methods: UnaryMethod[] = [];
  const collecting = collectUnary(router, methods);
  routes(collecting);
  router.handlers.splice(
    0,
    Infinity,
    ...router.handlers.map(correctDecodeErrors).map(answerUncompressed),
  );
  // Probes and tools have no token, and their methods do not have our access option.
  collecting.service(Health, healthService(health), { interceptors: [] });
  router.service(ServerReflection, reflection, { interceptors: [] });
  router.service(ServerReflectionAlpha, reflection as never, { interceptors: [] });
  const server = createServer(
    { settings: { maxConcurrentStreams: 1000 }, maxHeaderListPairs: 100 },
    requestListener(router, log),
  );
  server.on("request", discardRest);
  answerFirst(server, unaryListener({ ...shared, methods, handlers: router.handlers, log }));
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  await once(server.listen(port, host), "listening");
  server.on("error", (err) => log.error({ err }, "a connection could not be accepted"));
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, "close");
      server.close();
      // Streams without an end (health watchers) are closed with a retryable error. Active calls are
      // completed.
      shutdown.abort(new ConnectError("the server is stopping", Code.Unavailable));
      for (const session of sessions) session.close();
      const limit = setTimeout(() => {
        for (const session of sessions) session.destroy();
      }, DRAIN_MS);
      await closed;
      clearTimeout(limit);
    },
  };
}
