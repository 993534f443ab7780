import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import * as http from "node:http";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescMethod, DescService, MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { AccountService } from "@ticketing/proto/auth/v1/account_service";
import { AuthService } from "@ticketing/proto/auth/v1/auth_service";
import { UserService } from "@ticketing/proto/auth/v1/user_service";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "@ticketing/proto/grpc/health/v1/health";
import { OrderService } from "@ticketing/proto/orders/v1/order_service";
import { PaymentService } from "@ticketing/proto/payments/v1/payment_service";
import { SellerService } from "@ticketing/proto/payments/v1/seller_service";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import {
  exportJWK,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTPayload,
} from "jose";
import { type Edge, type EdgeVariables, startEdge, type Upstreams } from "#stack/launcher";
import { until } from "#stack/process";
import { ensureTools } from "#stack/tools";

export { managerOf } from "./testing-manager.ts";

/** A call as a service saw it. */
export interface Seen {
  readonly method: string;
  readonly instance: string;
  readonly header: Headers;
  readonly request: unknown;
}

type Handler = (request: never, context: HandlerContext) => unknown;

/** Small services behind a real edge: they take every call and remember it. */
export interface World {
  readonly edge: Edge;
  readonly upstreams: Upstreams;
  /** All calls that reached a service, oldest first. */
  readonly seen: Seen[];
  /** By which host, and scheme, the services were called: "http://edge". */
  readonly calledAs: Set<string>;
  /** What the edge said: its access log. */
  readonly lines: string[];
  /** Answers this method from now on; the others answer with an empty message. */
  answer<M extends DescMethod>(
    method: M,
    handler: (request: MessageShape<M["input"]>, context: HandlerContext) => unknown,
  ): void;
  /** Instances that say they are not serving. */
  readonly resting: Set<string>;
  /** Ends an instance without a word. */
  crash(instance: string): Promise<void>;
  /** Shows these keys from now on, as auth would. */
  publish(keys: readonly JWK[]): void;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
  token(
    claims?: Claims,
    options?: { alg?: string; kid?: string; key?: CryptoKey | Uint8Array },
  ): Promise<string>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** `undefined` leaves one out that is there otherwise. */
type Claims = { [claim in keyof JWTPayload]?: JWTPayload[claim] | undefined };

const soon = () => Math.floor(Date.now() / 1000) + 300;

interface WorldOptions {
  /** The edge's variables. */
  readonly variables?: EdgeVariables;
  readonly upstreams?: Upstreams;
  /** So many times auth has no keys yet. */
  readonly keysMissing?: number;
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const { keysMissing = 0, ...edgeOptions } = options;
  const { envoy } = await ensureTools(["envoy"], () => {});
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const publicJwk = { ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256", use: "sig" };
  const seen: Seen[] = [];
  const resting = new Set<string>();
  const answers: Shared["answers"] = new Map();
  const calledAs = new Set<string>();
  const shared: Shared = { seen, resting, answers, calledAs };
  const lines: string[] = [];
  await using things = new AsyncDisposableStack();
  const dir = mkdtempSync(join(tmpdir(), "edge-"));
  things.defer(() => rmSync(dir, { recursive: true }));

  const crashes = new Map<string, () => Promise<void>>();
  const kept = async (server: ReturnType<typeof listen>) => {
    const { address, close } = await server;
    crashes.set(address, close);
    things.defer(close);
    return address;
  };
  const stub = (...of: DescService[]) => kept(startStub(of, shared));
  const keys: JWK[] = [publicJwk];
  const plain = await kept(listen(http.createServer(plainPages(keys, keysMissing))));
  const upstreams: Upstreams = {
    auth: { rpc: [await stub(AuthService, AccountService, UserService)], http: [plain] },
    tickets: { rpc: [await stub(TicketService), await stub(TicketService)] },
    orders: { rpc: [await stub(OrderService)] },
    payments: { rpc: [await stub(PaymentService, SellerService)], http: [plain] },
    web: [plain],
  };
  const onLine = (line: string) => void lines.push(line);
  const edge = await startEdge({ envoy, dir, upstreams, onLine, ...edgeOptions });
  things.defer(() => edge.stop());
  // On a busy machine the first look at an instance's health may come too late.
  const healthy = () => isEveryClusterHealthy(edge.adminUrl);
  if (!options.upstreams) await until(healthy, { what: "all upstreams to be healthy" });
  const all = things.move();

  const usual = { sub: "u1", sid: "s1", iss: "ticketing", aud: "ticketing" };
  return {
    ...{ edge, upstreams, seen, calledAs, lines, resting, privateKey, publicJwk },
    publish: (shown) => void keys.splice(0, Infinity, ...shown),
    crash: async (instance) => crashes.get(instance)?.(),
    answer: (method, handler) => void answers.set(nameOf(method), handler as Handler),
    token: (claims = {}, { alg = "ES256", kid = "k1", key = privateKey } = {}) =>
      new SignJWT({ ...usual, exp: soon(), ...claims } as JWTPayload)
        .setProtectedHeader({ alg, kid })
        .sign(key),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** "/ticketing.auth.v1.AuthService/SignIn" */
export const nameOf = (method: DescMethod) => `/${method.parent.typeName}/${method.name}`;

interface Shared {
  readonly seen: Seen[];
  readonly resting: Set<string>;
  readonly answers: Map<string, Handler>;
  readonly calledAs: Set<string>;
}

function startStub(of: readonly DescService[], { seen, resting, answers, calledAs }: Shared) {
  let address = "";
  const handle = (method: DescMethod) => (request: never, context: HandlerContext) => {
    seen.push({
      method: nameOf(method),
      instance: address,
      header: context.requestHeader,
      request,
    });
    return answers.get(nameOf(method))?.(request, context) ?? create(method.output);
  };
  const handlers = (service: DescService): object =>
    Object.fromEntries(service.methods.map((method) => [method.localName, handle(method)]));
  const adapter = connectNodeAdapter({
    routes(router) {
      for (const service of of) router.service(service, handlers(service) as never);
      router.service(Health, {
        check: () => ({ status: resting.has(address) ? Status.NOT_SERVING : Status.SERVING }),
      });
    },
  });
  const server = http2.createServer((req, res) => {
    if (req.url.startsWith("/ticketing.")) calledAs.add(`${req.scheme}://${req.authority}`);
    adapter(req, res);
  });
  return listen(server).then((server) => {
    address = server.address;
    return server;
  });
}

/** The storefront, the webhook and the keys: each tells what it was asked. */
function plainPages(keys: JWK[], keysMissing: number): http.RequestListener {
  return (req, res) => {
    const { method, url, headers } = req;
    const forKeys = url === "/.well-known/jwks.json";
    const status = forKeys && keysMissing-- > 0 ? 503 : 200;
    res.writeHead(status, { "content-type": "application/json" });
    res.end(JSON.stringify(forKeys ? { keys } : { method, url, headers }));
  };
}

async function listen(server: http.Server | http2.Http2Server) {
  const sessions = new Set<{ destroy(): void }>();
  server.on("connection", (socket: { destroy(): void }) => sessions.add(socket));
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** The body read as JSON. */
  readonly json: any;
}

interface Asking {
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: unknown;
  /** The caller's own address. */
  readonly from?: string;
}

/** Asks exactly what it is told: unlike fetch, it changes no path and adds no header. */
export async function ask(
  world: World,
  method: string,
  path: string,
  { headers = {}, body, from }: Asking = {},
): Promise<Answer> {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const json = typeof body === "object" ? { "content-type": "application/json" } : {};
  const { hostname, port } = new URL(world.edge.url);
  const request = http.request({
    hostname,
    port,
    path,
    method,
    headers: { ...json, ...headers },
    agent: false,
    ...(from === undefined ? {} : { localAddress: from }),
  });
  request.setTimeout(20_000, () => request.destroy(new Error(`no answer to ${method} ${path}`)));
  request.end(text);
  // A refusal may come, and the connection end, while a large body is still on its way.
  request.on("error", () => {});
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const answer = Buffer.concat(chunks).toString();
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: answer,
    get json() {
      return JSON.parse(answer);
    },
  };
}

/** Whether the edge sends calls to all of its upstreams. */
async function isEveryClusterHealthy(adminUrl: string): Promise<boolean> {
  const answer = await fetch(`${adminUrl}/stats?filter=membership_healthy$`);
  const counts = [...(await answer.text()).matchAll(/: (\d+)$/gm)].map(([, count]) =>
    Number(count),
  );
  return counts.length > 0 && counts.every((count) => count > 0);
}
