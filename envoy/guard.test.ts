import type { OutgoingHttpHeaders } from "node:http2";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type EdgeFixture, startEdgeFixture } from "./testing/edge-fixture.ts";
import { request } from "./testing/http-request.ts";
import { sendHttp2, sendRaw, UNTRUSTED_ADDRESS } from "./testing/wire.ts";

let fixture: EdgeFixture;
beforeAll(async () => void (fixture = await startEdgeFixture()), 90_000);
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(() => void (fixture.calls.length = 0));

const id = "019f0000-0000-7000-8000-000000000001";

describe("a changing request from a browser", () => {
  const own = () => new URL(fixture.edge.url).host;
  const evil = "http://evil.test";
  const rows: [string, (session: string) => Record<string, string>, number][] = [
    ["a session, no origin", (cookie) => ({ cookie }), 403],
    ["a session, another origin", (cookie) => ({ cookie, origin: evil }), 403],
    ["a session, a hidden origin", (cookie) => ({ cookie, origin: "null" }), 403],
    [
      "a session, our host with another port",
      (cookie) => ({ cookie, origin: "http://127.0.0.1:1" }),
      403,
    ],
    [
      "a session, an origin that begins like ours",
      (cookie) => ({ cookie, origin: `http://${own()}.evil.test` }),
      403,
    ],
    [
      "a session, an origin that ends like ours",
      (cookie) => ({ cookie, origin: `http://evil-${own()}` }),
      403,
    ],
    ["a session, another site's referrer", (cookie) => ({ cookie, referer: `${evil}/` }), 403],
    ["any other cookie, another origin", () => ({ cookie: "a=b", origin: evil }), 403],
    ["no cookie, another origin", () => ({ origin: evil }), 403],
    ["no cookie, a browser that sends no origin", () => ({ "sec-fetch-site": "cross-site" }), 403],
    ["a session, our origin", (cookie) => ({ cookie, origin: `http://${own()}` }), 200],
    ["a session, our referrer", (cookie) => ({ cookie, referer: `http://${own()}/tickets` }), 200],
    ["no cookie, our origin", () => ({ origin: `http://${own()}` }), 200],
    ["no header of a browser", () => ({}), 200],
  ];

  describe.each([
    ["REST", "/api/users/signin", { "content-type": "application/json" }],
    ["RPC", "/ticketing.auth.v1.AuthService/SignIn", { "content-type": "application/json" }],
    ["the storefront", "/sign-in", { "content-type": "application/x-www-form-urlencoded" }],
  ])("%s", (_way, path, type) => {
    it.each(rows)("with %s", async (_what, headers, status) => {
      const session = `ticketing_access=${await fixture.token()}`;
      const answer = await request(fixture, "POST", path, {
        headers: { ...type, ...headers(session) },
        body: "{}",
      });
      expect(answer.status).toBe(status);
    });
  });

  it("is also checked if a form of another site sends no body", async () => {
    const session = { cookie: `ticketing_access=${await fixture.token()}` };
    const form = { "content-type": "application/x-www-form-urlencoded", "content-length": "0" };
    for (const path of [`/api/tickets/${id}/relist`, "/api/users/signout"])
      for (const origin of [evil, "null", undefined]) {
        const headers = { ...form, ...session, ...(origin && { origin }) };
        expect((await request(fixture, "POST", path, { headers })).status).toBe(403);
      }
    expect(fixture.calls).toEqual([]);
  });

  it("requires no origin if it has its token in a header", async () => {
    const authorization = `Bearer ${await fixture.token()}`;
    const call = (headers: object) =>
      request(fixture, "POST", "/api/orders", { headers: { authorization, ...headers }, body: {} });
    expect((await call({})).status).toBe(200);
    expect(
      (await call({ origin: evil, "sec-fetch-site": "cross-site", cookie: "a=b" })).status,
    ).toBe(200);
  });

  it("is not accepted because of an empty header", async () => {
    const headers = { authorization: "", cookie: "a=b", origin: evil };
    expect(
      (await request(fixture, "POST", "/api/users/signin", { headers, body: {} })).status,
    ).toBe(403);
  });

  it("is rejected from another origin, whereas a request that only reads is served", async () => {
    const cookie = `ticketing_access=${await fixture.token()}`;
    const get = (path: string) =>
      request(fixture, "GET", path, { headers: { cookie, origin: evil } });
    expect((await get("/api/orders")).status).toBe(200);
    expect((await get("/tickets")).status).toBe(200);
    expect((await get("/api/orders")).headers).not.toHaveProperty("access-control-allow-origin");
  });

  it("is accepted from any origin at the webhook, which verifies signatures", async () => {
    const headers = { cookie: "a=b", origin: evil };
    expect((await request(fixture, "POST", "/webhooks/stripe", { headers, body: {} })).status).toBe(
      200,
    );
  });

  it("is also checked in HTTP/2, where cookies are split into several headers", async () => {
    const session = ["a=b", `ticketing_access=${await fixture.token()}`, "c=d"];
    const path = "/ticketing.orders.v1.OrderService/ListOrders";
    expect(await postStatus(path, { cookie: session })).toBe(403);
    expect(await postStatus(path, { cookie: session, origin: fixture.edge.url })).toBe(200);
  });

  it("gets no permission from a preflight of another origin", async () => {
    const headers = { origin: evil, "access-control-request-method": "POST" };
    const answer = await request(fixture, "OPTIONS", "/api/users/signin", { headers });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
  });
});

describe("a header of a client", () => {
  const forged = {
    "x-user-id": "u9",
    "x-user-role": "administrator",
    "x-jwt-payload": "e30",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-original-path": "/forged",
    "x-request-id": "mine",
    "x-real-ip": "9.9.9.9",
    forwarded: "for=9.9.9.9",
    "x-forwarded-host": "evil.test",
  };

  it.each(["/api/tickets", "/api/orders", "/tickets", "/.well-known/jwks.json"])(
    "does not reach the upstream of %s (P50)",
    async (path) => {
      const authorization = `Bearer ${await fixture.token()}`;
      const answer = await request(fixture, "GET", path, { headers: { ...forged, authorization } });
      expect(answer.status).toBe(200);
      const headers = fixture.calls[0]
        ? Object.fromEntries(fixture.calls[0].header)
        : answer.json.headers;
      for (const [name, value] of Object.entries(forged))
        expect(headers?.[name], name).not.toBe(value);
    },
  );

  it("does not change the client address that a service gets", async () => {
    await request(fixture, "GET", "/api/tickets", {
      headers: { "x-forwarded-for": "9.9.9.9, 127.0.0.1" },
      from: UNTRUSTED_ADDRESS,
    });
    expect(fixture.calls[0]?.header.get("x-forwarded-for")).toBe(UNTRUSTED_ADDRESS);
  });

  it("is rejected with an underscore, which some servers read as a hyphen", async () => {
    expect(
      (await request(fixture, "GET", "/api/tickets", { headers: { x_user_id: "u9" } })).status,
    ).toBe(400);
  });

  it("is rejected if there are too many, or if it is too long", async () => {
    const many = Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`x-h${i}`, "1"]));
    expect((await request(fixture, "GET", "/api/tickets", { headers: many })).status).toBe(431);
    const crumbs = Array.from({ length: 150 }, (_, i) => `c${i}=1`);
    await expect(
      postStatus("/ticketing.auth.v1.AuthService/SignOut", { cookie: crumbs }),
    ).rejects.toThrow();
    const long = { "x-long": "x".repeat(33 * 1024) };
    expect((await request(fixture, "GET", "/api/tickets", { headers: long })).status).toBe(431);
  });
});

// P51: no spelling of a path avoids the token check.
describe("a path", () => {
  const nowhere = [
    "/api",
    "/api/",
    "/api/none",
    "/api/ordersx",
    "/api/none/../none",
    "//api//none",
    "/ticketing.none.v1.NoService/Get",
    "/ticketing.",
    "/ticketing.orders.v2.OrderService/ListOrders",
    "/grpc.health.v1.Health/Check",
    "/webhooks/none",
    "/webhooks",
  ];
  it.each(nowhere)("that is unknown is 404, and not served by the storefront: %s", async (path) => {
    const { status, headers, text } = await request(fixture, "GET", path);
    expect(status).toBe(404);
    expect(text).toContain("there is nothing at this path");
    if (/api|ticketing/.test(path)) expect(headers["content-type"]).toBe("application/json");
  });

  it("of the API that is unknown is 404 also with a token", async () => {
    const headers = { authorization: `Bearer ${await fixture.token()}` };
    for (const path of ["/api/orders/1/2", "/api/users/none", `/api/tickets/${id}/none`]) {
      expect((await request(fixture, "GET", path, { headers })).json, path).toMatchObject({
        code: 5,
      });
    }
  });

  it.each(["/./api/tickets", "/x/../api/tickets", "//api//tickets", "/api/%2e/tickets"])(
    "has one meaning, however it is spelled: %s",
    async (path) => {
      expect(await sendRaw(fixture, `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`)).toMatch(
        /^HTTP\/1.1 200/,
      );
      expect(fixture.calls).toHaveLength(1);
    },
  );

  it.each(["/api%2ftickets", "/api/tickets/..%2F", "/api%5ctickets", "/tickets%5C"])(
    "with an encoded slash is rejected: %s",
    async (path) => expect((await request(fixture, "GET", path)).status).toBe(400),
  );

  // All of these require a token; without one, none may reach orders or the code.
  const tricks = [
    "/api/orders/",
    "//api/orders",
    "/api//orders",
    "/./api/orders",
    "/x/../api/orders",
    "/%2e/api/orders",
    "/api/orders;x",
    "/api/orders?x=/api/tickets",
    "/api/tickets/../orders",
    "/api/tickets/%2e%2e/orders",
    "/api/tickets/..;/orders",
    "/api/tickets/..%2forders",
    "/api/tickets/..%5corders",
    "/api/tickets/..\\orders",
    `/api/tickets/${id}/code`,
    `/api/tickets/${id}//code`,
    `/api/tickets/${id}/code/`,
    `/api/tickets/${id}%2fcode`,
    `/api/tickets/${id}/./code`,
    `/api/tickets/${id}/x/../code`,
    `/api/tickets/${id};/code`,
    `/api/tickets/${id}/%63ode`,
    `/api/tickets/${id}/code?x`,
    `/api/tickets/${id}/code#/x`,
    "/API/orders",
    "/Api/Orders",
    "/api%2forders",
    "/%61pi/orders",
    "/ticketing.tickets.v1.TicketService/GetTicket/../OpenTicketCode",
    "/ticketing.tickets.v1.TicketService//OpenTicketCode",
    "/ticketing.orders.v1.OrderService/ListOrders/",
    "/ticketing.orders.v1.OrderService/%4cistOrders",
    "/Ticketing.orders.v1.OrderService/ListOrders",
    "/api/users/signin/../../orders",
    "/webhooks/stripe/../../api/orders",
    "/.well-known/jwks.json/../../api/orders",
    "http://x/api/orders",
    "/api/orders\t",
    "/api/orders%00",
    "/api/orders%0a",
  ];
  it.each(tricks)("gives no access to a protected method: %s", async (path) => {
    for (const method of ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"]) {
      await sendRaw(
        fixture,
        `${method} ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`,
      );
    }
    const reached = fixture.calls.map(({ method }) => method);
    expect(reached.filter((method) => !/\/(GetTicket|ListTickets)$/.test(method))).toEqual([]);
  });
});

describe("an HTTP method", () => {
  it.each(["TRACE", "PUT", "DELETE", "PATCH", "OPTIONS"])(
    "that the storefront does not support is rejected: %s",
    async (method) => {
      expect((await request(fixture, method, "/tickets")).status).toBe(405);
    },
  );
  it("TRACE is rejected everywhere", async () => {
    for (const path of [
      "/api/tickets",
      "/ticketing.tickets.v1.TicketService/ListTickets",
      "/webhooks/stripe",
    ]) {
      expect((await request(fixture, "TRACE", path)).status).toBe(405);
    }
  });
  it("CONNECT is rejected", async () => {
    expect(
      await sendRaw(fixture, "CONNECT evil.test:80 HTTP/1.1\r\nhost: evil.test\r\n\r\n"),
    ).toMatch(/^HTTP\/1.1 4/);
  });
});

describe("a request that two servers could parse differently", () => {
  const smuggled = "GET /api/orders HTTP/1.1\r\nhost: x\r\n\r\n";
  it.each([
    ["two lengths", "content-length: 5\r\ncontent-length: 6\r\n\r\nhello"],
    [
      "a length and chunks",
      `content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    ["an unknown transfer encoding", `transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`],
    ["a signed length", "content-length: +5\r\n\r\nhello"],
    ["a space before the colon", "content-length : 5\r\n\r\nhello"],
    ["a zero byte", "x-a: b\0c\r\ncontent-length: 0\r\n\r\n"],
  ])("is rejected: %s", async (_what, rest) => {
    const answer = await sendRaw(
      fixture,
      `POST /api/users/signin HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${rest}`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 (400|501)/);
    expect(answer.match(/HTTP\/1.1/g)).toHaveLength(1);
    expect(fixture.calls).toEqual([]);
  });
});

/** The status of a POST of an empty JSON object over HTTP/2. */
const postStatus = async (path: string, headers: OutgoingHttpHeaders): Promise<number> => {
  const json = { "content-type": "application/json" };
  return (await sendHttp2(fixture, { ":method": "POST", ":path": path, ...json, ...headers }, "{}"))
    .status;
};
