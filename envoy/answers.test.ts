import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EdgeFixture, startEdgeFixture } from "./testing/edge-fixture.ts";
import { request } from "./testing/http-request.ts";
import { requestUntilAvailable, sendHttp2 } from "./testing/wire.ts";

let fixture: EdgeFixture;
beforeAll(async () => {
  fixture = await startEdgeFixture();
  await requestUntilAvailable(fixture, "GET", "/api/tickets");
}, 90_000);
afterAll(() => fixture[Symbol.asyncDispose]());

const id = "019f0000-0000-7000-8000-000000000001";
const bearer = async () => ({ authorization: `Bearer ${await fixture.token()}` });

describe("the caching headers of a response", () => {
  it.each([
    ["GET", "/api/tickets", 200],
    ["GET", `/api/tickets/${id}`, 200],
    ["GET", "/api/users/currentuser", 200],
    ["GET", "/api/orders", 200],
    ["POST", "/api/users/signin", 200],
    ["POST", "/ticketing.tickets.v1.TicketService/ListTickets", 200],
    ["POST", "/ticketing.orders.v1.OrderService/ListOrders", 200],
    ["GET", "/edge/client-address", 204],
    ["POST", "/webhooks/stripe", 200],
    ["GET", "/api/none", 404],
    ["GET", "/api/tickets?colour=red", 400],
    ["PUT", "/api/orders", 405],
  ])("are no-store: %s %s", async (method, path, status) => {
    const body = method === "POST" ? { body: {} } : {};
    const options = { headers: await bearer(), ...body };
    const answer = await requestUntilAvailable(fixture, method, path, options);
    expect(answer.status).toBe(status);
    expect(answer.headers["cache-control"]).toBe("no-store");
  });

  it.each(["/api/orders", "/ticketing.orders.v1.OrderService/ListOrders"])(
    "are the same if the edge rejects a caller without a token: %s",
    async (path) => {
      const method = path.startsWith("/api") ? "GET" : "POST";
      const body = method === "POST" ? { body: {} } : {};
      const answer = await request(fixture, method, path, body);
      expect(answer.status).toBe(401);
      expect(answer.headers["cache-control"]).toBe("no-store");
    },
  );

  it("are the service's own for a Connect GET that the service lets caches keep", async () => {
    const path = "/ticketing.tickets.v1.TicketService/ListTickets";
    const query = `${path}?connect=v1&encoding=json&message=%7B%7D`;
    fixture.respond(TicketService.method.listTickets, (_, { responseHeader }) => {
      responseHeader.set("cache-control", "public, s-maxage=1");
      return {};
    });
    const policy = async (method: string, to: string) => {
      const body = method === "POST" ? { body: {} } : {};
      return (await request(fixture, method, to, body)).headers["cache-control"];
    };
    expect(await policy("GET", query)).toBe("public, s-maxage=1");
    expect(await policy("HEAD", query)).toBe("public, s-maxage=1");
    expect(await policy("POST", path)).toBe("no-store");
    expect(await policy("GET", "/api/tickets")).toBe("no-store");
    fixture.respond(TicketService.method.listTickets, () => ({}));
    expect(await policy("GET", query)).toBe("no-store");
  });

  it("are those of the storefront for its pages", async () => {
    expect((await request(fixture, "GET", "/tickets")).headers).not.toHaveProperty("cache-control");
  });
});

describe("a path with an encoded slash", () => {
  it("is rejected with a message", async () => {
    const { status, json } = await request(fixture, "GET", "/api/tickets/a%2Fb");
    expect(status).toBe(400);
    expect(json).toMatchObject({
      code: 3,
      message: expect.stringContaining("path"),
      details: [{ reason: "MALFORMED_REQUEST" }],
    });
  });

  it.each([
    "/ticketing.tickets.v1.TicketService%2FListTickets",
    "/ticketing.tickets.v1.TicketService/..%2fListTickets",
    "/api/tickets/a%5Cb",
  ])("is an unknown method in gRPC: %s", async (path) => {
    const call = { ":method": "POST", ":path": path, "content-type": "application/grpc" };
    const { status, headers } = await sendHttp2(fixture, call, new Uint8Array(5));
    expect(status).toBe(200);
    expect(["5", "12"]).toContain(headers["grpc-status"]);
  });
});

describe("an RPC of an unknown service", () => {
  const paths = [
    "/foo.Bar/Baz",
    "/ticketing.none.v1.NoService/Get",
    "/ticketing.orders.v1.NoService/Get",
    "/ticketing.orders.v1.OrderService/Nothing",
    "/grpc.health.v1.Health/Check",
    "/",
  ];
  it.each(paths)("is UNIMPLEMENTED in gRPC: %s", async (path) => {
    for (const type of ["application/grpc", "application/grpc+proto"]) {
      const call = { ":method": "POST", ":path": path, "content-type": type, te: "trailers" };
      const { status, headers } = await sendHttp2(fixture, call, new Uint8Array(5));
      expect({ status, grpc: headers["grpc-status"] }).toEqual({ status: 200, grpc: "12" });
    }
  });

  it.each(paths)("is UNIMPLEMENTED in gRPC-Web: %s", async (path) => {
    const headers = { "content-type": "application/grpc-web+proto" };
    const { status, text } = await request(fixture, "POST", path, { headers, body: "\0\0\0\0\0" });
    expect(status).toBe(200);
    expect(text).toContain("grpc-status: 12\r\n");
  });

  it.each(paths)("is unimplemented in Connect: %s", async (path) => {
    const headers = { "connect-protocol-version": "1" };
    const { status, json } = await request(fixture, "POST", path, { headers, body: {} });
    expect({ status, json }).toMatchObject({ status: 404, json: { code: "unimplemented" } });
  });
});

describe("a REST body", () => {
  const post = async (body: unknown, path = "/api/tickets") =>
    request(fixture, "POST", path, { headers: await bearer(), body });
  const price = { currencyCode: "EUR", units: "20" };

  it.each<[string, unknown, string]>([
    ["at its top", { title: "x", requestID: "1" }, "requestID"],
    ["in a message in it", { title: "x", price: { ...price, cents: 1 } }, "cents"],
    ["after a list and a text with brackets", { title: '}"]{', price, x: [{}] }, "x"],
    ["in capitals", { Title: "x" }, "Title"],
  ])("is rejected with a field that its message does not have: %s", async (_what, body, name) => {
    fixture.calls.length = 0;
    const { status, json } = await post(body);
    expect({ status, json }).toMatchObject({
      status: 400,
      json: {
        code: 3,
        message: `the body has a field "${name}" that is not in the contract`,
        details: [{ reason: "MALFORMED_REQUEST" }],
      },
    });
    expect(fixture.calls).toEqual([]);
  });

  it.each(["{'requestID': '1'}", "{requestID: 1}", '{"request\\u0049D": "1"}', '{"": 1}'])(
    "is rejected with an unknown field in any notation: %s",
    async (text) => {
      const headers = { ...(await bearer()), "content-type": "application/json" };
      expect((await request(fixture, "POST", "/api/tickets", { headers, body: text })).status).toBe(
        400,
      );
    },
  );

  it("accepts field names in camel case and in snake case", async () => {
    const eventTime = "2099-01-01T20:00:00Z";
    const body = { title: 'a "quoted" { title', price, event_time: eventTime, requestId: id };
    fixture.calls.length = 0;
    expect((await post(body)).status).toBe(200);
    expect(fixture.calls[0]?.request).toMatchObject({ title: body.title, requestId: id });
  });

  it("is not parsed for a caller without a token", async () => {
    expect(
      (await request(fixture, "POST", "/api/tickets", { body: { requestID: 1 } })).status,
    ).toBe(401);
  });
});
