import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { until } from "#stack/process";
import { AUTHORITY } from "./config/authority.ts";
import { type EdgeFixture, startEdgeFixture } from "./testing/edge-fixture.ts";
import { request } from "./testing/http-request.ts";
import { requestUntilAvailable, sendHttp2, sendRawForStatus } from "./testing/wire.ts";

let fixture: EdgeFixture;
beforeAll(async () => {
  fixture = await startEdgeFixture();
  const isRouted = async () => (await request(fixture, "GET", "/api/tickets")).status === 200;
  await until(isRouted, { what: "the services to be called" });
  fixture.calls.length = 0;
}, 90_000);
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(() => void (fixture.calls.length = 0));

const good = [
  ...["a", "A.Example", "tickets.example:443", "localhost:8080", "a:0", "a:65535", "a.:80"],
  ...["127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080", "[fd00:1:2:3:4:5:6:7]:80", "[1::]"],
  ...["my_service:80", "xn--mnchen-3ya.example", "1st.example", "7eleven", "0day"],
];
const bad = [
  ...["a:99999", "a:65536", "a:b", "a:", "a:-1", "a:+80", "a:8 0", ":80", "a:80:80", "a:080808"],
  ...[
    "user@a",
    "user:password@a:80",
    "a/b",
    "a?b",
    "a#b",
    "a\\b",
    "http://a",
    "a,b",
    "a;b",
    "a%2fb",
  ],
  ...["[", "]", "[]", "[::1", "::1", "[::1]x", "[:::]", "[1:2:3]", "[::1]:", "[g::]", "[1.2.3.4]"],
  ...["[1:2:3:4:5:6:7:8:9]", "[::1%25eth0]", "a..b", ".a", "-a", "a-", "é.example", "a<b>"],
  ...["1.2.3.400", "1.2.3", "1", "256.1.1.1", "a.1", "0x7f.1", "a.0x1f", "0x7f000001", "*"],
];

/** Each kind of path: RPC, REST, plain HTTP of a service, the storefront, and an unknown one. */
const paths = [
  ["POST", "/ticketing.tickets.v1.TicketService/ListTickets"],
  ["POST", "/ticketing.orders.v1.OrderService/ListOrders"],
  ["GET", "/api/tickets"],
  ["GET", "/api/orders"],
  ["POST", "/api/users/signin"],
  ["POST", "/webhooks/stripe"],
  ["GET", "/.well-known/jwks.json"],
  ["GET", "/tickets"],
  ["POST", "/sign-in"],
  ["GET", "/healthz"],
  ["GET", "/edge/client-address"],
  ["PUT", "/none"],
  ["TRACE", "/api/tickets"],
] as const;

const json = { "content-type": "application/json" };
const malformedHosts = ["a:99999", "user@a", "[::1"];

/**
 * Whether each call is rejected over HTTP/2. They are sent together, because Envoy takes a second to
 * close a connection after a protocol error.
 */
const rejectedOverHttp2 = new Map<string, boolean>();
const keyOf = (...call: readonly string[]): string => call.join(" ");
beforeAll(async () => {
  const calls = [
    ...bad.map((host) => ["GET", "/api/tickets", host] as const),
    ...paths.flatMap(([method, path]) =>
      malformedHosts.map((host) => [method, path, host] as const),
    ),
  ];
  await Promise.all(
    calls.map(async ([method, path, host]) =>
      rejectedOverHttp2.set(
        keyOf(method, path, host),
        await isRejectedOverHttp2(path, host, method),
      ),
    ),
  );
  expect(fixture.calls).toEqual([]);
});
const statusFor = (host: string) =>
  sendRawForStatus(
    fixture,
    `GET /api/tickets HTTP/1.1\r\nhost: ${host}\r\nx-mark: 1\r\nconnection: close\r\n\r\n`,
  );

describe("the host that is called", () => {
  it.each(good)("may be %s", async (host) => {
    const accepted = [200, 503]; // The upstream may be busy, but it received the call.
    expect(accepted).toContain(await statusFor(host));
    const answer = await sendHttp2(fixture, { ":path": "/api/tickets", ":authority": host });
    expect(accepted).toContain(answer.status);
    expect(() => new URL(`http://${host}`)).not.toThrow();
  });

  it.each(bad)("is rejected with 400 if it does not parse: %s", async (host) => {
    expect(await statusFor(host)).toBe(400);
    expect(rejectedOverHttp2.get(keyOf("GET", "/api/tickets", host))).toBe(true);
    expect(fixture.calls).toEqual([]);
  });

  it.each(paths)("is checked before anything else by %s %s", async (method, path) => {
    const body = method === "POST" ? "content-type: application/json\r\ncontent-length: 2\r\n" : "";
    for (const host of malformedHosts) {
      const origin = "origin: http://evil.test\r\ncookie: a=b\r\n";
      const status = await sendRawForStatus(
        fixture,
        `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n${origin}${body}connection: close\r\n\r\n${body && "{}"}`,
      );
      expect(status, host).toBe(400);
      expect(rejectedOverHttp2.get(keyOf(method, path, host))).toBe(true);
    }
    expect(fixture.calls).toEqual([]);
  });

  it("occurs once: two Host lines are rejected with 400, whatever their values", async () => {
    for (const [first, second] of [
      ["a", "a"],
      ["a", "b"],
      ["a:80", "a:99999"],
    ]) {
      const lines = `Host: ${first}\r\nhost: ${second}\r\n`;
      for (const path of ["/api/tickets", "/tickets"]) {
        const status = await sendRawForStatus(
          fixture,
          `GET ${path} HTTP/1.1\r\n${lines}connection: close\r\n\r\n`,
        );
        expect(status, lines).toBe(400);
      }
    }
    expect(fixture.calls).toEqual([]);
  });

  it("is also checked in an absolute URL, and must not be missing", async () => {
    for (const target of ["http://a:99999/api/tickets", "http://a:b/tickets"])
      expect(
        await sendRawForStatus(fixture, `GET ${target} HTTP/1.1\r\nhost: x\r\n\r\n`),
        target,
      ).toBe(400);
    expect(await sendRawForStatus(fixture, "GET /api/tickets HTTP/1.1\r\n\r\n")).toBe(400);
    expect(await sendRawForStatus(fixture, "GET /api/tickets HTTP/1.1\r\nhost:\r\n\r\n")).toBe(400);
  });

  it("is rejected in the format of each protocol", async () => {
    const host = "a:99999";
    const rest = await sendHttp2(fixture, { ":path": "/api/tickets", ":authority": host });
    const message = "the host that was called is not a host and a port";
    expect(JSON.parse(rest.text)).toMatchObject({
      code: 3,
      message,
      details: [{ reason: "MALFORMED_REQUEST" }],
    });
    const rpc = {
      ":method": "POST",
      ":path": "/ticketing.tickets.v1.TicketService/ListTickets",
      ":authority": host,
    };
    const connect = await sendHttp2(fixture, { ...rpc, ...json }, "{}");
    expect(connect.status).toBe(400);
    expect(JSON.parse(connect.text)).toMatchObject({ code: "invalid_argument" });
    const grpc = await sendHttp2(
      fixture,
      { ...rpc, "content-type": "application/grpc" },
      new Uint8Array(5),
    );
    expect(grpc).toMatchObject({ status: 200, headers: { "grpc-status": "3" } });
  });
});

describe("an upstream", () => {
  it("is called by the name of the edge, whatever the client sent", async () => {
    fixture.calledOrigins.clear();
    for (const host of ["a", "tickets.example:444", "[::1]"]) {
      for (const path of ["/api/tickets", "/ticketing.tickets.v1.TicketService/ListTickets"]) {
        const call = { ":path": path, ":authority": host, "x-forwarded-proto": "gopher", ...json };
        await sendHttp2(fixture, { ...call, ":method": "GET" });
        await sendHttp2(fixture, { ...call, ":method": "POST", ":scheme": "https" }, "{}");
      }
      for (const [method, path] of [
        ["GET", "/.well-known/jwks.json"],
        ["POST", "/webhooks/stripe"],
      ] as const) {
        const answer = await requestUntilAvailable(fixture, method, path, {
          headers: { host, ...json },
          body: "{}",
        });
        expect(answer.json.headers?.host ?? "edge").toBe("edge");
      }
    }
    const grpc = createClient(TicketService, createGrpcTransport({ baseUrl: fixture.edge.url }));
    await grpc.listTickets({});
    expect([...fixture.calledOrigins]).toEqual(["http://edge"]);
  });

  it("gets the host that was called if it is the storefront, whose origin it is", async () => {
    const headers = { host: "tickets.example:444", "x-forwarded-host": "evil.test" };
    const { json: seen } = await requestUntilAvailable(fixture, "GET", "/tickets", { headers });
    expect(seen.headers).toMatchObject({
      host: "edge",
      "x-forwarded-host": "tickets.example:444",
    });
    expect(seen.headers).not.toHaveProperty("x-edge-peer");
  });

  it("accepts forms from pages of the host that was called, and from no other", async () => {
    const sent = (origin: string) =>
      requestUntilAvailable(fixture, "POST", "/sign-in", {
        headers: { host: "shop.example", origin, cookie: "a=b" },
      });
    expect((await sent("https://shop.example")).status).toBe(200);
    expect((await sent("https://edge")).status).toBe(403);
    expect((await sent("https://shop.example.evil.test")).status).toBe(403);
  });
});

it("the pattern of hosts agrees with the tests of the edge", () => {
  const whole = new RegExp(`^(?:${AUTHORITY})$`);
  expect(good.filter((each) => !whole.test(each))).toEqual([]);
  expect(bad.filter((each) => whole.test(each))).toEqual([]);
});

/** Whether a call over HTTP/2 is rejected: by a 400, or as a protocol error. */
async function isRejectedOverHttp2(
  path: string,
  authority: string,
  method = "GET",
): Promise<boolean> {
  const headers = { ":method": method, ":path": path, ":authority": authority, ...json };
  try {
    return (await sendHttp2(fixture, headers, method === "POST" ? "{}" : undefined)).status === 400;
  } catch {
    return true;
  }
}
