import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescMethod, DescService, MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  exportJWK,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTPayload,
} from "jose";
import { publicServices, services } from "#marketplace/catalogue.ts";
import { type Edge, type EdgeVariables, startEdge, type Upstreams } from "#stack/launcher";
import { until } from "#stack/process";
import { ensureTools } from "#stack/tools";
import {
  pathOf,
  startHttpStub,
  startServiceStub,
  type Handler,
  type ReceivedCall,
  type StubServer,
  type StubState,
} from "./stub-server.ts";

/** A real edge in front of stub services, which accept every call and record it. */
export interface EdgeFixture extends AsyncDisposable {
  readonly edge: Edge;
  readonly upstreams: Upstreams;
  /** All calls that reached a service, oldest first. */
  readonly calls: ReceivedCall[];
  /** The schemes and hosts by which the services were called: "http://edge". */
  readonly calledOrigins: Set<string>;
  /** The lines of the edge's access log. */
  readonly accessLog: string[];
  /** Handles this method from now on; every other method responds with an empty message. */
  respond<M extends DescMethod>(
    method: M,
    handler: (request: MessageShape<M["input"]>, context: HandlerContext) => unknown,
  ): void;
  /** Instances that report that they are not serving. */
  readonly notServing: Set<string>;
  /** Closes an instance together with its connections. */
  crash(instance: string): Promise<void>;
  /** Replaces the keys that auth publishes. */
  publishKeys(keys: readonly JWK[]): void;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
  /** Signs an access token. */
  token(claims?: Claims, options?: TokenOptions): Promise<string>;
}

/** `undefined` removes a claim that a token has by default. */
type Claims = { [claim in keyof JWTPayload]?: JWTPayload[claim] | undefined };

interface TokenOptions {
  readonly alg?: string;
  readonly kid?: string;
  readonly key?: CryptoKey | Uint8Array;
}

interface FixtureOptions {
  /** The edge's variables. */
  readonly variables?: EdgeVariables;
  readonly upstreams?: Upstreams;
  /** The number of requests for auth's keys that fail before they succeed. */
  readonly keyFailures?: number;
}

const TOKEN_LIFETIME_SECONDS = 300;

export async function startEdgeFixture(options: FixtureOptions = {}): Promise<EdgeFixture> {
  const { keyFailures = 0, ...edgeOptions } = options;
  const { envoy } = await ensureTools(["envoy"], () => {});
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const publicJwk = { ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256", use: "sig" };
  const state: StubState = {
    calls: [],
    calledOrigins: new Set(),
    notServing: new Set(),
    handlers: new Map(),
    keys: [publicJwk],
    keyFailures,
  };
  const accessLog: string[] = [];

  await using resources = new AsyncDisposableStack();
  const dir = mkdtempSync(join(tmpdir(), "edge-"));
  resources.defer(() => rmSync(dir, { recursive: true }));
  const stubs = await startStubs(state, resources);
  const { upstreams } = stubs;
  const onLine = (line: string) => void accessLog.push(line);
  const edge = await startEdge({ envoy, dir, upstreams, onLine, ...edgeOptions });
  resources.defer(() => edge.stop());
  // On a busy machine the first health check of an instance may time out.
  const isHealthy = () => isEveryClusterHealthy(edge.adminUrl);
  if (!options.upstreams) await until(isHealthy, { what: "all upstreams to be healthy" });
  const started = resources.move();

  return {
    edge,
    upstreams,
    accessLog,
    privateKey,
    publicJwk,
    calls: state.calls,
    calledOrigins: state.calledOrigins,
    notServing: state.notServing,
    publishKeys: (published) => void state.keys.splice(0, Infinity, ...published),
    crash: async (instance) => stubs.servers.get(instance)?.close(),
    respond: (method, handler) => void state.handlers.set(pathOf(method), handler as Handler),
    token: (claims, { key = privateKey, ...header } = {}) => signToken(key, claims, header),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

interface Stubs {
  readonly upstreams: Upstreams;
  readonly servers: ReadonlyMap<string, StubServer>;
}

/** Starts what is behind the edge; tickets has two instances. */
async function startStubs(state: StubState, resources: AsyncDisposableStack): Promise<Stubs> {
  const servers = new Map<string, StubServer>();
  async function addressOf(starting: Promise<StubServer>): Promise<string> {
    const server = await starting;
    servers.set(server.address, server);
    resources.defer(() => server.close());
    return server.address;
  }
  const stub = (...services: DescService[]) => addressOf(startServiceStub(services, state));
  const http = await addressOf(startHttpStub(state));
  const stubs = publicServices.map(async (name) => {
    const own = services.filter(({ typeName }) => typeName.startsWith(`ticketing.${name}.`));
    const rpc = [await stub(...own)];
    if (name === "tickets") rpc.push(await stub(...own)); // Two instances, for tests of balancing.
    return [name, { rpc, http: [http] }] as const;
  });
  const byName = Object.fromEntries(await Promise.all(stubs));
  const upstreams = { ...byName, web: [http] } as unknown as Upstreams;
  return { upstreams, servers };
}

function signToken(
  key: CryptoKey | Uint8Array,
  claims: Claims = {},
  { alg = "ES256", kid = "k1" }: Omit<TokenOptions, "key"> = {},
): Promise<string> {
  const exp = Math.floor(Date.now() / 1_000) + TOKEN_LIFETIME_SECONDS;
  const defaults = { sub: "u1", sid: "s1", iss: "ticketing", aud: "ticketing", exp };
  return new SignJWT({ ...defaults, ...claims } as JWTPayload)
    .setProtectedHeader({ alg, kid })
    .sign(key);
}

/** Whether every cluster has a healthy upstream. */
async function isEveryClusterHealthy(adminUrl: string): Promise<boolean> {
  const stats = await fetch(`${adminUrl}/stats?filter=membership_healthy$`);
  const counts = [...(await stats.text()).matchAll(/: (\d+)$/gm)].map(([, count]) => Number(count));
  return counts.length > 0 && counts.every((count) => count > 0);
}
