import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { createApi } from "./api.ts";
import { SessionCookies } from "#lib/server/session/session-cookies.ts";
import { authenticate } from "#lib/server/session/request-session.ts";

const claims = { sub: "user-1", exp: Date.now() / 1000 - 60 };
const over = `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;

/** As a server might that knows no better: with every answer it tells the browser to forget. */
const CLEARING = ["ticketing_access=; Path=/; Max-Age=0", "ticketing_refresh=; Path=/; Max-Age=0"];

/** A visit whose access token is over, to an edge that answers like this. */
async function visit(answer: (res: ServerResponse) => void) {
  const server = createServer((_req, res) => answer(res));
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void (server.closeAllConnections(), server.close()));
  const sent: Record<string, string> = { ticketing_access: over, ticketing_refresh: "r" };
  const session = new SessionCookies((name) => sent[name], false);
  const { port } = server.address() as AddressInfo;
  const nobody = { address: undefined, userAgent: null, traceparent: null };
  const api = createApi({ edgeUrl: `http://127.0.0.1:${port}`, session, ...nobody });
  return { api, session };
}

const refusal = (status: number, code: string, reason?: string) => (res: ServerResponse) => {
  // ErrorInfo with its first field alone, as it is on the wire.
  const value = Buffer.from([0x0a, reason?.length ?? 0, ...Buffer.from(reason ?? "")]);
  const detail = { type: "google.rpc.ErrorInfo", value: value.toString("base64") };
  res.writeHead(status, { "content-type": "application/json", "set-cookie": CLEARING });
  res.end(JSON.stringify({ code, details: reason ? [detail] : [] }));
};

it.each<[string, (res: ServerResponse) => void]>([
  ["the database is away", refusal(503, "unavailable", "STORE_UNAVAILABLE")],
  ["it takes too long", refusal(503, "unavailable", "TOO_SLOW")],
  ["there are too many", refusal(429, "resource_exhausted", "TOO_MANY_ATTEMPTS")],
  ["something broke", refusal(500, "internal")],
  ["the edge has no token of its own that fits", refusal(401, "unauthenticated")],
  ["the edge itself is overloaded", (res) => res.writeHead(503, { "set-cookie": CLEARING }).end()],
  ["the line is cut", (res) => res.destroy()],
  ["nobody answers", () => undefined],
])("a session outlives a renewal that fails because %s", async (_, answer) => {
  const { api, session } = await visit(answer);
  expect(await authenticate(api, session)).toBeUndefined();
  expect(session.refresh).toBe("r");
  expect(session.changes).toEqual([]);
  expect(session.isUncertain).toBe(true);
});

it.each([
  ["SESSION_ENDED", refusal(401, "unauthenticated", "SESSION_ENDED")],
  ["BANNED", refusal(403, "permission_denied", "BANNED")],
] as const)("a session is forgotten when auth refuses it by %s", async (_, answer) => {
  const { api, session } = await visit(answer);
  expect(await authenticate(api, session)).toBeUndefined();
  expect(session.any).toBe(false);
  expect(session.changes).toHaveLength(2);
  expect(session.isUncertain).toBe(false);
});
