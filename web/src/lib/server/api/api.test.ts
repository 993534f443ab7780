import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { createApi } from "./api.ts";
import { SessionCookies } from "#lib/server/session/session-cookies.ts";
import { authenticate } from "#lib/server/session/request-session.ts";

const claims = { sub: "user-1", exp: Date.now() / 1000 - 60 };
const expired = `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;

/** Set by every response of the fake edge: a server might do this with an error. */
const DELETING_COOKIES = [
  "ticketing_access=; Path=/; Max-Age=0",
  "ticketing_refresh=; Path=/; Max-Age=0",
];

/** A request with an expired access token, to an edge that responds like this. */
async function requestTo(respond: (res: ServerResponse) => void) {
  const server = createServer((_req, res) => respond(res));
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void (server.closeAllConnections(), server.close()));
  const sent: Record<string, string> = { ticketing_access: expired, ticketing_refresh: "r" };
  const session = new SessionCookies((name) => sent[name], false);
  const { port } = server.address() as AddressInfo;
  const anonymous = { clientAddress: undefined, userAgent: null, traceparent: null };
  const api = createApi({ edgeUrl: `http://127.0.0.1:${port}`, session, ...anonymous });
  return { api, session };
}

const errorResponse = (status: number, code: string, reason?: string) => (res: ServerResponse) => {
  // ErrorInfo with its first field alone, as it is on the wire.
  const value = Buffer.from([0x0a, reason?.length ?? 0, ...Buffer.from(reason ?? "")]);
  const detail = { type: "google.rpc.ErrorInfo", value: value.toString("base64") };
  res.writeHead(status, { "content-type": "application/json", "set-cookie": DELETING_COOKIES });
  res.end(JSON.stringify({ code, details: reason ? [detail] : [] }));
};

it.each<[string, (res: ServerResponse) => void]>([
  ["the database is unavailable", errorResponse(503, "unavailable", "STORE_UNAVAILABLE")],
  ["it takes too long", errorResponse(503, "unavailable", "TOO_SLOW")],
  ["there were too many attempts", errorResponse(429, "resource_exhausted", "TOO_MANY_ATTEMPTS")],
  ["of an internal error", errorResponse(500, "internal")],
  ["the edge does not accept the token", errorResponse(401, "unauthenticated")],
  [
    "the edge itself is overloaded",
    (res) => res.writeHead(503, { "set-cookie": DELETING_COOKIES }).end(),
  ],
  ["the connection breaks", (res) => res.destroy()],
  ["no response arrives", () => undefined],
])("a session survives a renewal that fails because %s", async (_, respond) => {
  const { api, session } = await requestTo(respond);
  expect(await authenticate(api, session)).toBeUndefined();
  expect(session.refreshToken).toBe("r");
  expect(session.setCookieLines).toEqual([]);
  expect(session.isUncertain).toBe(true);
});

it.each([
  ["SESSION_ENDED", errorResponse(401, "unauthenticated", "SESSION_ENDED")],
  ["BANNED", errorResponse(403, "permission_denied", "BANNED")],
] as const)("a session's cookies are deleted when auth refuses it with %s", async (_, respond) => {
  const { api, session } = await requestTo(respond);
  expect(await authenticate(api, session)).toBeUndefined();
  expect(session.isPresent).toBe(false);
  expect(session.setCookieLines).toHaveLength(2);
  expect(session.isUncertain).toBe(false);
});
