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

/** The routes outside the RPCs, by "METHOD /path". */
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

/** The routes of every service: liveness, readiness and metrics. */
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
  /** Routes may be added later: probes are answered before the service is ready. */
  routes: HttpRoutes;
  health: HealthState;
  log: Log;
}

/** The number of concurrent requests to the service's own routes. Probes and metrics are always answered. */
const CAPACITY = 200;

/** Serves over HTTP/1.1 what is not an RPC: probes, metrics and the service's own routes. */
export async function serveHttp(options: Options): Promise<Server> {
  const { service, host, port, health, log } = options;
  const standard = standardRoutes(service, health);
  let inFlight = 0;
  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = (req.url ?? "/").split("?")[0] ?? "/";
    // HEAD is GET without the body, which Node omits automatically.
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
      else res.destroy(); // The client must not take a partial response for a complete one.
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
