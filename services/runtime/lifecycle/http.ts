import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { HealthState } from "../rpc/health.ts";
import type { Log } from "../log.ts";
import { processMetrics } from "../metrics.ts";
import type { Server } from "../rpc/server.ts";

/** Answers one plain HTTP request. */
export type HttpHandler = (req: IncomingMessage, res: ServerResponse) => Promise<void> | void;

/** What is served beside the RPCs, by "METHOD /path". */
export type HttpRoutes = ReadonlyMap<string, HttpHandler>;

export const sendJson = (
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): void => {
  res
    .writeHead(status, { "content-type": "application/json", ...headers })
    .end(JSON.stringify(body));
};

/** The routes that every service has: alive, ready, metrics. */
function standardRoutes(service: string, health: HealthState): HttpRoutes {
  const registry = processMetrics(service);
  return new Map<string, HttpHandler>([
    ["GET /healthz", (_req, res) => sendJson(res, 200, { status: "alive" })],
    ["GET /readyz", (_req, res) => sendJson(res, health.get("") ? 200 : 503, health.all())],
    [
      "GET /metrics",
      async (_req, res) => {
        const body = await registry.metrics();
        res.writeHead(200, { "content-type": registry.contentType }).end(body);
      },
    ],
  ]);
}

interface Options {
  service: string;
  host: string;
  port: number;
  /** May be filled later: a probe is answered before the service itself can be. */
  routes: HttpRoutes;
  health: HealthState;
  log: Log;
}

/** The service's own requests that are worked on at once; probes and metrics are always answered. */
const CAPACITY = 200;

/** Serves over HTTP/1.1 what is not an RPC: probes, metrics, and the service's own few paths. */
export async function serveHttp(options: Options): Promise<Server> {
  const { service, host, port, health, log } = options;
  const standard = standardRoutes(service, health);
  let inFlight = 0;
  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = (req.url ?? "/").split("?")[0] ?? "/";
    // HEAD is GET without the body, which Node leaves out by itself.
    const route = `${req.method === "HEAD" ? "GET" : req.method} ${path}`;
    const own = options.routes.get(route);
    const handler = own ?? standard.get(route);
    if (!handler) return sendJson(res, 404, { message: "nothing here" });
    if (own && inFlight >= CAPACITY) {
      res.setHeader("retry-after", "1").setHeader("connection", "close"); // Its body is not read.
      return sendJson(res, 503, { message: "too many requests at once" });
    }
    if (own) inFlight += 1;
    try {
      await handler(req, res);
    } catch (err) {
      log.error({ err, path }, "request failed");
      if (!res.headersSent) sendJson(res, 500, { message: "internal error" });
      else res.destroy(); // Half an answer must not look like a whole one.
    } finally {
      if (own) inFlight -= 1;
    }
  }
  const server = createServer(
    { requestTimeout: 15_000, headersTimeout: 10_000 },
    (req, res) => void answer(req, res),
  );
  await once(server.listen(port, host), "listening");
  server.on("error", (err) => log.error({ err }, "a connection could not be accepted"));
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeIdleConnections();
      setTimeout(() => server.closeAllConnections(), 2_000).unref();
      await closed;
    },
  };
}
