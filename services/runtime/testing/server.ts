import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import type { Log } from "../log.ts";
import type { TokenRules } from "../identity/tokens.ts";
import type { Admission } from "../rpc/calls.ts";
import { HealthState } from "../rpc/health.ts";
import { type Routes, serve, type Server } from "../rpc/server.ts";
import { atEnd } from "./at-end.ts";
import { TEST_CALL_TIMEOUT_MS } from "./client.ts";
import { silentLog } from "./log.ts";
import { testTokenRules } from "./tokens.ts";

export interface TestServer extends Server {
  readonly url: string;
  readonly health: HealthState;
  /** Clients over the network, one per protocol. */
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
    log: silentLog,
    rules: testTokenRules,
    callTimeoutMs: TEST_CALL_TIMEOUT_MS,
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
