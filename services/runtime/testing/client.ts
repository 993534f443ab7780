import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import type { Log } from "../log.ts";
import type { TokenRules } from "../rpc/authentication.ts";
import { interceptors, type Routes } from "../rpc/server.ts";
import { silent } from "./log.ts";
import { rules } from "./tokens.ts";

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
