import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ask, startWorld, type World } from "./testing.ts";
import { askWhatIsThere, h2, raw, statusOf } from "./testing-wire.ts";

// What people and their libraries plainly send.

let world: World;
beforeAll(async () => {
  world = await startWorld();
  await askWhatIsThere(world, "GET", "/api/tickets");
}, 90_000);
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => void (world.seen.length = 0));

const id = "019f0000-0000-7000-8000-000000000001";
const bearer = async () => ({ authorization: `Bearer ${await world.token()}` });

describe("in a query, a plus", () => {
  it("is a space, and behind a percent sign a plus", async () => {
    await ask(world, "GET", "/api/tickets?query=Blue+Moon+%2B+x&pageSize=3");
    expect(world.seen[0]?.request).toMatchObject({ query: "Blue Moon + x", pageSize: 3 });
  });
});

describe("the scheme of Authorization", () => {
  it.each(["bearer", "BEARER", "Bearer ", "bEaReR  "])("may be spelled %s", async (scheme) => {
    const authorization = `${scheme} ${await world.token()}`;
    const rpc = "/ticketing.orders.v1.OrderService/ListOrders";
    const rest = await ask(world, "GET", "/api/orders", { headers: { authorization } });
    const connect = await ask(world, "POST", rpc, { headers: { authorization }, body: {} });
    expect([rest.status, connect.status]).toEqual([200, 200]);
  });

  it("stays what it is where there are two, or another stands before the token", async () => {
    const token = await world.token();
    const given: (string | string[])[] = [
      [`bearer ${token}`, `bearer ${token}`],
      `bearer ${token}, bearer ${token}`,
      `basic ${token}`,
      `bearer${token}`,
    ];
    for (const authorization of given)
      expect(
        (
          await ask(world, "GET", "/api/orders", {
            headers: { authorization: authorization as string },
          })
        ).status,
      ).toBe(401);
    expect(world.seen).toEqual([]);
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
  ])("is answered as GET is, but for the body: %s", async (path) => {
    world.answer(TicketService.method.listTickets, () => ({
      tickets: Array.from({ length: 30 }, () => long),
    }));
    const headers = await bearer();
    const get = await ask(world, "GET", path, { headers });
    const head = await ask(world, "HEAD", path, { headers });
    expect([get.status, head.status, head.text]).toEqual([200, 200, ""]);
    expect(head.headers["content-type"]).toBe(get.headers["content-type"]);
    const over2 = await h2(world, { ":method": "HEAD", ":path": path, ...headers });
    expect(over2).toMatchObject({ status: 200, text: "" });
  });

  it("leaves the connection as it must be for the next request", async () => {
    const head = "HEAD /api/tickets HTTP/1.1\r\nhost: x\r\n\r\n";
    const get = "GET /api/users/currentuser HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    const answer = await raw(world, head + get);
    expect(answer.match(/HTTP\/1\.1 200/g)?.length ?? 0).toBeGreaterThanOrEqual(1);
    expect(answer).not.toContain("xxx");
  });

  it("is guarded as GET is", async () => {
    expect((await ask(world, "HEAD", "/api/orders")).status).toBe(401);
    expect(world.seen).toEqual([]);
  });
});

describe("a path with a slash at its end", () => {
  it.each([
    ["GET", "/api/tickets/"],
    ["GET", `/api/tickets/${id}/`],
    ["GET", "/api/tickets//?pageSize=1"],
    ["GET", "/api/orders/"],
    ["POST", "/ticketing.tickets.v1.TicketService/ListTickets/"],
  ])("is the path without it: %s %s", async (method, path) => {
    const body = method === "POST" ? { body: {} } : {};
    const { status } = await ask(world, method, path, { headers: await bearer(), ...body });
    expect(status).toBe(200);
    expect(world.seen).toHaveLength(1);
  });
});

it("a path with a slash at its end is as open as the path without it, and no more", async () => {
  const statusOfPath = async (path: string) => (await ask(world, "GET", path)).status;
  expect(await statusOfPath("/api/tickets/")).toBe(200);
  expect(await statusOfPath("/api/users/currentuser/")).toBe(200);
  expect(await statusOfPath("/api/orders/")).toBe(401);
});

describe("a POST without a body", () => {
  const relist = `/api/tickets/${id}/relist`;
  it("needs no content type", async () => {
    const { authorization } = await bearer();
    for (const length of ["", "content-length: 0\r\n", "content-type:\r\ncontent-length: 0\r\n"]) {
      const head = `POST ${relist} HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\n`;
      const answer = await raw(world, `${head}${length}connection: close\r\n\r\n`);
      expect(statusOf(answer), answer).toBe(200);
    }
    const call = { ":method": "POST", ":path": relist, authorization };
    expect((await h2(world, call)).status).toBe(200);
    expect(world.seen.map(({ request }) => request)).toMatchObject(Array(4).fill({ id }));
  });

  it.each(["application/x-www-form-urlencoded", "text/plain;charset=UTF-8", "a"])(
    "may say any content type, such as %s",
    async (type) => {
      const { authorization } = await bearer();
      const said = { authorization, "content-type": type };
      const head = `POST ${relist} HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\ncontent-type: ${type}\r\n`;
      for (const none of [
        "content-length: 0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      ]) {
        const answer = await raw(world, `${head}connection: close\r\n${none}`);
        expect(statusOf(answer), answer).toBe(200);
      }
      expect((await h2(world, { ":method": "POST", ":path": relist, ...said })).status).toBe(200);
      expect(world.seen.map(({ request }) => request)).toMatchObject(Array(3).fill({ id }));
    },
  );

  it("and with one, of whatever length is said, does", async () => {
    const headers = await bearer();
    expect((await h2(world, { ":method": "POST", ":path": relist, ...headers }, "{}")).status).toBe(
      415,
    );
    expect((await ask(world, "POST", relist, { headers, body: "{}" })).status).toBe(415);
    const form = { ...headers, "content-type": "application/x-www-form-urlencoded" };
    expect((await ask(world, "POST", relist, { headers: form, body: "{}" })).status).toBe(415);
    expect(world.seen).toEqual([]);
  });
});

describe("what asks in another way than there is", () => {
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
  ])("is 405, and told what there is: %s %s", async (method, path, allow) => {
    const { status, headers } = await ask(world, method, path);
    expect({ status, allow: headers.allow }).toEqual({ status: 405, allow });
    expect(world.seen).toEqual([]);
  });
});

it("a message of exactly 64 KiB passes in its frame, and none a byte larger", async () => {
  const baseUrl = world.edge.url;
  for (const transport of [
    createGrpcTransport({ baseUrl }),
    createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  ]) {
    const client = createClient(TicketService, transport);
    const pageToken = "x".repeat(64 * 1024 - 4); // One byte names the field, three tell its length.
    await expect(client.listTickets({ pageToken })).resolves.toBeDefined();
    await expect(client.listTickets({ pageToken: `${pageToken}x` })).rejects.toMatchObject({
      code: Code.ResourceExhausted,
    });
  }
  expect(world.seen).toHaveLength(2);
});
