import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import type { Log } from "../log.ts";
import type { TokenRules } from "../identity/tokens.ts";
import { interceptors, type Routes } from "../rpc/server.ts";
import { silentLog } from "./log.ts";
import { testTokenRules } from "./tokens.ts";

/** The maximum time of a call in tests: a busy machine is slow, which is not a failure. */
export const TEST_CALL_TIMEOUT_MS = 600_000;

/** A client of these routes in the same process, with all interceptors of a server. */
export function testClient<S extends DescService>(
  service: S,
  routes: Routes,
  log: Log = silentLog,
  asked: TokenRules = testTokenRules,
): Client<S> {
  const router = { interceptors: interceptors(log, asked, TEST_CALL_TIMEOUT_MS) };
  return createClient(service, createRouterTransport(routes, { router }));
}
