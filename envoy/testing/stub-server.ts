import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { create, type DescMethod, type DescService } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "@ticketing/proto/grpc/health/v1/health";
import type { JWK } from "jose";

/** A call as a service received it. */
export interface ReceivedCall {
  readonly method: string;
  readonly instance: string;
  readonly header: Headers;
  readonly request: unknown;
}

export type Handler = (request: never, context: HandlerContext) => unknown;

/** What the stubs record, and how the tests control them. */
export interface StubState {
  readonly calls: ReceivedCall[];
  readonly calledOrigins: Set<string>;
  readonly notServing: Set<string>;
  readonly handlers: Map<string, Handler>;
  /** The keys that auth publishes. */
  readonly keys: JWK[];
  /** The number of requests for the keys that fail before auth publishes them. */
  keyFailures: number;
}

export interface StubServer {
  /** "127.0.0.1:40123" */
  readonly address: string;
  close(): Promise<void>;
}

/** The method's path: "/ticketing.auth.v1.AuthService/SignIn". */
export const pathOf = (method: DescMethod) => `/${method.parent.typeName}/${method.name}`;

/** An instance that implements these services: it records every call. */
export async function startServiceStub(
  implemented: readonly DescService[],
  state: StubState,
): Promise<StubServer> {
  let address = "";
  const handle = (method: DescMethod) => (request: never, context: HandlerContext) => {
    const path = pathOf(method);
    state.calls.push({ method: path, instance: address, header: context.requestHeader, request });
    return state.handlers.get(path)?.(request, context) ?? create(method.output);
  };
  const handlers = (service: DescService): object =>
    Object.fromEntries(service.methods.map((method) => [method.localName, handle(method)]));
  const status = () => (state.notServing.has(address) ? Status.NOT_SERVING : Status.SERVING);
  const adapter = connectNodeAdapter({
    routes(router) {
      for (const service of implemented) router.service(service, handlers(service) as never);
      router.service(Health, { check: () => ({ status: status() }) });
    },
  });
  const server = await listen(
    http2.createServer((req, res) => {
      if (req.url.startsWith("/ticketing."))
        state.calledOrigins.add(`${req.scheme}://${req.authority}`);
      adapter(req, res);
    }),
  );
  address = server.address;
  return server;
}

/** The storefront, the webhook and auth's keys: each responds with the request that it received. */
export const startHttpStub = (state: StubState): Promise<StubServer> =>
  listen(
    http.createServer(({ method, url, headers }, res) => {
      const asksForKeys = url === "/.well-known/jwks.json";
      const fails = asksForKeys && state.keyFailures-- > 0;
      res.writeHead(fails ? 503 : 200, { "content-type": "application/json" });
      res.end(JSON.stringify(asksForKeys ? { keys: state.keys } : { method, url, headers }));
    }),
  );

async function listen(server: http.Server | http2.Http2Server): Promise<StubServer> {
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket: { destroy(): void }) => sockets.add(socket));
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
