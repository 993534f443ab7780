import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type EdgeFixture, startEdgeFixture } from "./testing/edge-fixture.ts";
import { request } from "./testing/http-request.ts";
import { requestUntilAvailable, sendHttp2, sendRaw, statusOf } from "./testing/wire.ts";

// Requests as common clients and libraries send them.

let fixture: EdgeFixture;
beforeAll(async () => {
  fixture = await startEdgeFixture();
  await requestUntilAvailable(fixture, "GET", "/api/tickets");
}, 90_000);
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(() => void (fixture.calls.length = 0));

const id = "019f0000-0000-7000-8000-000000000001";
const bearer = async () => ({ authorization: `Bearer ${await fixture.token()}` });

describe("in a query, a plus", () => {
  it("is a space, and an encoded plus is a plus", async () => {
    await request(fixture, "GET", "/api/tickets?query=Blue+Moon+%2B+x&pageSize=3");
    expect(fixture.calls[0]?.request).toMatchObject({ query: "Blue Moon + x", pageSize: 3 });
  });
});

describe("the scheme of Authorization", () => {
  it.each(["bearer", "BEARER", "Bearer ", "bEaReR  "])("may be spelled %s", async (scheme) => {
    const authorization = `${scheme} ${await fixture.token()}`;
    const rpc = "/ticketing.orders.v1.OrderService/ListOrders";
    const rest = await request(fixture, "GET", "/api/orders", { headers: { authorization } });
    const connect = await request(fixture, "POST", rpc, { headers: { authorization }, body: {} });
    expect([rest.status, connect.status]).toEqual([200, 200]);
  });

  it("is not normalized if there are two headers, or if it is another scheme", async () => {
    const token = await fixture.token();
    const given: (string | string[])[] = [
      [`bearer ${token}`, `bearer ${token}`],
      `bearer ${token}, bearer ${token}`,
      `basic ${token}`,
      `bearer${token}`,
    ];
    for (const authorization of given)
      expect(
        (
          await request(fixture, "GET", "/api/orders", {
            headers: { authorization: authorization as string },
          })
        ).status,
      ).toBe(401);
    expect(fixture.calls).toEqual([]);
  });
});

describe("HEAD", () => {
  const long = { title: "x".repeat(3_000) };
  it.each([
    "/api/tickets",
    `/api/tickets/${id}`,
    "/api/orders",
    "/ticketing.tickets.v1.TicketService/ListTickets?connect=v1&encoding=json&message=%7B%7D",
    "/.well-known/jwks.json",
  ])("gets the response of GET without its body: %s", async (path) => {
    fixture.respond(TicketService.method.listTickets, () => ({
      tickets: Array.from({ length: 30 }, () => long),
    }));
    const headers = await bearer();
    const get = await request(fixture, "GET", path, { headers });
    const head = await request(fixture, "HEAD", path, { headers });
    expect([get.status, head.status, head.text]).toEqual([200, 200, ""]);
    expect(head.headers["content-type"]).toBe(get.headers["content-type"]);
    const over2 = await sendHttp2(fixture, { ":method": "HEAD", ":path": path, ...headers });
    expect(over2).toMatchObject({ status: 200, text: "" });
  });

  it("leaves the connection usable for the next request", async () => {
    const head = "HEAD /api/tickets HTTP/1.1\r\nhost: x\r\n\r\n";
    const get = "GET /api/users/currentuser HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    const answer = await sendRaw(fixture, head + get);
    expect(answer.match(/HTTP\/1\.1 200/g)?.length ?? 0).toBeGreaterThanOrEqual(1);
    expect(answer).not.toContain("xxx");
  });

  it("requires a token as GET does", async () => {
    expect((await request(fixture, "HEAD", "/api/orders")).status).toBe(401);
    expect(fixture.calls).toEqual([]);
  });
});

describe("a path with a trailing slash", () => {
  it.each([
    ["GET", "/api/tickets/"],
    ["GET", `/api/tickets/${id}/`],
    ["GET", "/api/tickets//?pageSize=1"],
    ["GET", "/api/orders/"],
    ["POST", "/ticketing.tickets.v1.TicketService/ListTickets/"],
  ])("equals the path without it: %s %s", async (method, path) => {
    const body = method === "POST" ? { body: {} } : {};
    const { status } = await request(fixture, method, path, { headers: await bearer(), ...body });
    expect(status).toBe(200);
    expect(fixture.calls).toHaveLength(1);
  });
});

it("a path with a trailing slash requires a token if the path without it does", async () => {
  const statusOfPath = async (path: string) => (await request(fixture, "GET", path)).status;
  expect(await statusOfPath("/api/tickets/")).toBe(200);
  expect(await statusOfPath("/api/users/currentuser/")).toBe(200);
  expect(await statusOfPath("/api/orders/")).toBe(401);
});

describe("a POST without a body", () => {
  const relist = `/api/tickets/${id}/relist`;
  it("requires no content type", async () => {
    const { authorization } = await bearer();
    for (const length of ["", "content-length: 0\r\n", "content-type:\r\ncontent-length: 0\r\n"]) {
      const head = `POST ${relist} HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\n`;
      const answer = await sendRaw(fixture, `${head}${length}connection: close\r\n\r\n`);
      expect(statusOf(answer), answer).toBe(200);
    }
    const call = { ":method": "POST", ":path": relist, authorization };
    expect((await sendHttp2(fixture, call)).status).toBe(200);
    expect(fixture.calls.map(({ request }) => request)).toMatchObject(Array(4).fill({ id }));
  });

  it.each(["application/x-www-form-urlencoded", "text/plain;charset=UTF-8", "a"])(
    "accepts any content type, such as %s",
    async (type) => {
      const { authorization } = await bearer();
      const said = { authorization, "content-type": type };
      const head = `POST ${relist} HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\ncontent-type: ${type}\r\n`;
      for (const none of [
        "content-length: 0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      ]) {
        const answer = await sendRaw(fixture, `${head}connection: close\r\n${none}`);
        expect(statusOf(answer), answer).toBe(200);
      }
      expect(
        (await sendHttp2(fixture, { ":method": "POST", ":path": relist, ...said })).status,
      ).toBe(200);
      expect(fixture.calls.map(({ request }) => request)).toMatchObject(Array(3).fill({ id }));
    },
  );

  it("requires a content type if it has a body, whatever its declared length", async () => {
    const headers = await bearer();
    expect(
      (await sendHttp2(fixture, { ":method": "POST", ":path": relist, ...headers }, "{}")).status,
    ).toBe(415);
    expect((await request(fixture, "POST", relist, { headers, body: "{}" })).status).toBe(415);
    const form = { ...headers, "content-type": "application/x-www-form-urlencoded" };
    expect((await request(fixture, "POST", relist, { headers: form, body: "{}" })).status).toBe(
      415,
    );
    expect(fixture.calls).toEqual([]);
  });
});

describe("a request with a wrong HTTP method or content type", () => {
  it.each([
    ["PATCH", "/api/tickets", "GET, HEAD, POST"],
    ["PUT", "/api/orders", "GET, HEAD, POST"],
    ["POST", `/api/orders/${id}`, "DELETE, GET, HEAD"],
    ["GET", `/api/tickets/${id}/relist`, "POST"],
    ["HEAD", "/api/users/signin", "POST"],
    ["OPTIONS", "/api/orders", "GET, HEAD, POST"],
    ["PUT", "/ticketing.orders.v1.OrderService/CreateOrder", "POST"],
    ["GET", "/ticketing.orders.v1.OrderService/CreateOrder", "POST"],
    ["PUT", "/ticketing.tickets.v1.TicketService/ListTickets", "GET, HEAD, POST"],
    ["GET", "/webhooks/stripe", "POST"],
    ["POST", "/.well-known/jwks.json", "GET, HEAD"],
    ["POST", "/edge/client-address", "GET, HEAD"],
    ["PUT", "/tickets", "GET, HEAD, POST"],
    ["TRACE", "/tickets", "GET, HEAD, POST"],
    ["TRACE", "/api/tickets", "GET, HEAD, POST"],
  ])("is rejected with 405 and the allowed methods: %s %s", async (method, path, allow) => {
    const { status, headers } = await request(fixture, method, path);
    expect({ status, allow: headers.allow }).toEqual({ status: 405, allow });
    expect(fixture.calls).toEqual([]);
  });
});

it("a message of exactly 64 KiB in its frame passes, and a larger one is rejected", async () => {
  const baseUrl = fixture.edge.url;
  for (const transport of [
    createGrpcTransport({ baseUrl }),
    createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  ]) {
    const client = createClient(TicketService, transport);
    // The field's tag takes one byte, and its length three.
    const pageToken = "x".repeat(64 * 1024 - 4);
    await expect(client.listTickets({ pageToken })).resolves.toBeDefined();
    await expect(client.listTickets({ pageToken: `${pageToken}x` })).rejects.toMatchObject({
      code: Code.ResourceExhausted,
    });
  }
  expect(fixture.calls).toHaveLength(2);
});
