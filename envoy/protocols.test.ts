import { gunzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { AuthService } from "@ticketing/proto/auth/v1/auth_service";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "@ticketing/proto/google/rpc/error_details";
import { OrderService } from "@ticketing/proto/orders/v1/order_service";
import { TicketSchema, TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EdgeFixture, startEdgeFixture } from "./testing/edge-fixture.ts";
import { request } from "./testing/http-request.ts";

let fixture: EdgeFixture;
beforeAll(async () => void (fixture = await startEdgeFixture()), 90_000);
afterAll(() => fixture[Symbol.asyncDispose]());

const concert = create(TicketSchema, {
  id: "019f0000-0000-7000-8000-000000000001",
  title: "Concert",
  price: { currencyCode: "EUR", units: 20n },
  status: TicketStatus.ON_SALE,
  version: 3n,
});

const refusal = () =>
  new ConnectError("no such ticket", Code.NotFound, undefined, [
    { desc: ErrorInfoSchema, value: { reason: "TICKET_NOT_FOUND", domain: "ticketing" } },
    {
      desc: BadRequestSchema,
      value: { fieldViolations: [{ field: "id", description: "unknown" }] },
    },
    { desc: RetryInfoSchema, value: { retryDelay: { nanos: 200_000_000 } } },
  ]);

const transports: Record<string, () => Transport> = {
  gRPC: () => createGrpcTransport({ baseUrl: fixture.edge.url }),
  "gRPC-Web": () => createGrpcWebTransport({ baseUrl: fixture.edge.url, httpVersion: "1.1" }),
  "Connect, JSON": () =>
    createConnectTransport({
      baseUrl: fixture.edge.url,
      httpVersion: "1.1",
      useBinaryFormat: false,
    }),
  "Connect, binary, HTTP/2": () =>
    createConnectTransport({ baseUrl: fixture.edge.url, httpVersion: "2", useBinaryFormat: true }),
  "Connect, GET": () =>
    createConnectTransport({ baseUrl: fixture.edge.url, httpVersion: "1.1", useHttpGet: true }),
};

describe.each(Object.entries(transports))("%s", (_name, transport) => {
  it("reaches a service and returns its response", async () => {
    fixture.respond(TicketService.method.getTicket, ({ id }) => ({ ticket: { ...concert, id } }));
    const { ticket } = await createClient(TicketService, transport()).getTicket({ id: concert.id });
    expect(ticket).toEqual(concert);
  });

  it("returns a service's error with its details", async () => {
    fixture.respond(TicketService.method.getTicket, () => {
      throw refusal();
    });
    const error = await createClient(TicketService, transport())
      .getTicket({})
      .catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.NotFound, rawMessage: "no such ticket" });
    const [info] = (error as ConnectError).findDetails(ErrorInfoSchema);
    expect(info?.reason).toBe("TICKET_NOT_FOUND");
  });

  it("returns the edge's own error in the format of the protocol", async () => {
    const error = await createClient(OrderService, transport())
      .listOrders({})
      .catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.Unauthenticated });
  });

  it("reports an unknown method", async () => {
    const none = {
      ...TicketService,
      typeName: "ticketing.none.v1.NoService",
    } as typeof TicketService;
    const method = { ...none.method.createTicket, parent: none };
    const call = transport().unary(method, undefined, undefined, undefined, {});
    await expect(call).rejects.toMatchObject({ code: Code.Unimplemented });
  });
});

describe("REST", () => {
  it("shows enums by name, 64-bit numbers as strings, and fields that are empty", async () => {
    fixture.respond(TicketService.method.getTicket, () => ({ ticket: concert }));
    const { status, headers, json } = await request(fixture, "GET", `/api/tickets/${concert.id}`);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "x-content-type-options": "nosniff",
    });
    expect(json.ticket).toMatchObject({
      id: concert.id,
      price: { currencyCode: "EUR", units: "20", nanos: 0 },
      status: "TICKET_STATUS_ON_SALE",
      version: "3",
      userId: "",
      hasCode: false,
    });
    expect((await request(fixture, "GET", "/api/tickets")).json).toEqual({
      tickets: [],
      nextPageToken: "",
    });
  });

  it("reads the query, the path and the body", async () => {
    const authorization = `Bearer ${await fixture.token()}`;
    fixture.calls.length = 0;
    await request(
      fixture,
      "GET",
      "/api/tickets?pageSize=7&query=a%20b&order_by=TICKET_SORT_NEWEST&minPrice.units=5",
    );
    await request(fixture, "PUT", `/api/tickets/${concert.id}`, {
      headers: { authorization },
      body: { title: "New" },
    });
    await request(fixture, "DELETE", `/api/tickets/${concert.id}`, { headers: { authorization } });
    expect(fixture.calls.map(({ request }) => request)).toMatchObject([
      { pageSize: 7, query: "a b", orderBy: 1, minPrice: { units: 5n } },
      { id: concert.id, title: "New" },
      { id: concert.id },
    ]);
  });

  it("returns a service's error as google.rpc.Status", async () => {
    fixture.respond(TicketService.method.getTicket, () => {
      throw refusal();
    });
    const { status, json } = await request(fixture, "GET", `/api/tickets/${concert.id}`);
    expect(status).toBe(404);
    expect(json).toMatchObject({ code: 5, message: "no such ticket" });
    expect(json.details).toMatchObject([
      { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "TICKET_NOT_FOUND" },
      { "@type": "type.googleapis.com/google.rpc.BadRequest", fieldViolations: [{ field: "id" }] },
      { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "0.200s" },
    ]);
  });

  it("keeps several Set-Cookie headers apart", async () => {
    fixture.respond(AuthService.method.signIn, (_request, { responseHeader }) => {
      responseHeader.append(
        "set-cookie",
        "ticketing_access=a; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
      );
      responseHeader.append("set-cookie", "ticketing_refresh=b; HttpOnly");
      return {};
    });
    const cookies = [
      "ticketing_access=a; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
      "ticketing_refresh=b; HttpOnly",
    ];
    for (const path of ["/api/users/signin", "/ticketing.auth.v1.AuthService/SignIn"]) {
      expect((await request(fixture, "POST", path, { body: {} })).headers["set-cookie"]).toEqual(
        cookies,
      );
    }
  });

  it.each([
    ["a wrong type", "POST", "/api/users/signin", { body: { email: { a: 1 } } }],
    [
      "invalid JSON",
      "POST",
      "/api/users/signin",
      { body: "{", headers: { "content-type": "application/json" } },
    ],
    [
      "deeply nested JSON",
      "POST",
      "/api/users/signin",
      { body: `{"email":${"[".repeat(10_000)}`, headers: { "content-type": "application/json" } },
    ],
    ["an unknown parameter", "GET", "/api/tickets?colour=red", {}],
    ["a parameter of a wrong type", "GET", "/api/tickets?pageSize=many", {}],
    ["an unknown enum value", "GET", "/api/tickets?orderBy=LOUDEST", {}],
  ])("rejects %s with 400 and a message", async (_what, method, path, options) => {
    const { status, json } = await request(fixture, method, path, options);
    expect({ status, json }).toMatchObject({
      status: 400,
      json: {
        code: 3,
        message: expect.stringMatching(/\w{4}/),
        details: [{ reason: "MALFORMED_REQUEST" }],
      },
    });
  });

  it("rejects a body that contradicts the path", async () => {
    const headers = { authorization: `Bearer ${await fixture.token()}` };
    const put = (id: string) =>
      request(fixture, "PUT", `/api/tickets/${concert.id}`, { headers, body: { id } });
    expect((await put("019f0000-0000-7000-8000-000000000002")).status).toBe(400);
    expect((await put(concert.id)).status).toBe(200);
  });

  it.each([
    undefined,
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/jsonp",
    "text/plain; application/json",
  ])("rejects a body of type %s with 415", async (type) => {
    const headers = type === undefined ? {} : { "content-type": type };
    const { status, json } = await request(fixture, "POST", "/api/users/signin", {
      body: "{}",
      headers,
    });
    expect({ status, json }).toMatchObject({
      status: 415,
      json: { code: 3, details: [{ reason: "NOT_JSON" }] },
    });
  });

  it("accepts JSON with a charset", async () => {
    const headers = { "content-type": "application/json; charset=utf-8" };
    expect(
      (await request(fixture, "POST", "/api/users/signin", { body: "{}", headers })).status,
    ).toBe(200);
  });
});

describe("a larger response", () => {
  const path = "/ticketing.tickets.v1.TicketService/GetTicket";
  const ask = (headers: Record<string, string>) =>
    request(fixture, "POST", path, { body: {}, headers });

  it("is compressed for a client that accepts it: by the service, or else at the edge", async () => {
    const title = "x".repeat(2_000);
    fixture.respond(TicketService.method.getTicket, () => ({ ticket: { ...concert, title } }));
    const headers = { "accept-encoding": "gzip" };
    // The services behind this edge compress responses of Connect. Those of gRPC become REST at the edge.
    const responses = [
      await ask(headers),
      await request(fixture, "GET", `/api/tickets/${concert.id}`, { headers }),
    ];
    for (const { headers: answered, bytes } of responses) {
      expect(answered["content-encoding"]).toBe("gzip");
      expect(JSON.parse(gunzipSync(bytes).toString()).ticket.title).toBe(title);
    }
    const plain = await ask({});
    expect(plain.headers["content-encoding"]).toBeUndefined();
    expect(plain.json.ticket.title).toBe(title);
  });
});
