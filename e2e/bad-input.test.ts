import { mongo } from "mongoose";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { buy, listTicket, signUp, type Person } from "./testing/person.ts";
import "./testing/setup.ts"; // For the type of what it provides.

const { url, mongoUrl } = inject("marketplace");
const someId = "01a20000-0000-7000-8000-000000000000";

let person: Person;
let orderId: string;
beforeAll(async () => {
  person = await signUp(url, "somebody");
  orderId = (await buy(person, await listTicket(await signUp(url, "seller")))).id;
});

/** The number of stored documents by collection, which rejected requests must not change. */
async function stored(): Promise<Record<string, number>> {
  const client = await mongo.MongoClient.connect(mongoUrl.replace("/DATABASE", "/admin"));
  try {
    const counts: Record<string, number> = {};
    for (const [database, collection] of [
      ["auth", "users"],
      ["tickets", "tickets"],
      ["orders", "orders"],
    ] as const) {
      counts[collection] = await client.db(database).collection(collection).countDocuments();
    }
    const attempts = { "attempts.0": { $exists: true } };
    counts["attempts"] = await client
      .db("payments")
      .collection("payments")
      .countDocuments(attempts, { hint: { _id: 1 } });
    return counts;
  } finally {
    await client.close();
  }
}

interface Bad {
  what: string;
  method?: string;
  path: string;
  body?: unknown;
  /** The field that the error must name. */
  field?: string;
  status?: number;
  headers?: Record<string, string>;
}

const eur = (units: unknown, nanos?: number) => ({ currencyCode: "EUR", units, nanos });
const ticket = (over: object) => ({ title: "A ticket", price: eur("20"), ...over });

const bad: Bad[] = [
  { what: "no fields", path: "/api/tickets", body: {}, field: "title" },
  { what: "no price", path: "/api/tickets", body: { title: "A ticket" }, field: "price" },
  { what: "an empty title", path: "/api/tickets", body: ticket({ title: "   " }), field: "title" },
  {
    what: "a title that is too long",
    path: "/api/tickets",
    body: ticket({ title: "x".repeat(201) }),
    field: "title",
  },
  {
    what: "a negative price",
    path: "/api/tickets",
    body: ticket({ price: eur("-20") }),
    field: "price",
  },
  {
    what: "a price of zero",
    path: "/api/tickets",
    body: ticket({ price: eur("0") }),
    field: "price",
  },
  {
    what: "half a cent",
    path: "/api/tickets",
    body: ticket({ price: eur("20", 5_000_000) }),
    field: "price.nanos",
  },
  {
    what: "a price that is too small",
    path: "/api/tickets",
    body: ticket({ price: eur("0", 10_000_000) }),
    field: "price",
  },
  {
    what: "a price that is too large",
    path: "/api/tickets",
    body: ticket({ price: eur("9223372036854775807") }),
    field: "price",
  },
  {
    what: "an unknown currency",
    path: "/api/tickets",
    body: ticket({ price: { currencyCode: "XXX", units: "5" } }),
    field: "price.currency_code",
  },
  {
    what: "no currency",
    path: "/api/tickets",
    body: ticket({ price: { units: "5" } }),
    field: "price",
  },
  {
    what: "an event in the past",
    path: "/api/tickets",
    body: ticket({ eventTime: "2020-01-01T00:00:00Z" }),
    field: "event_time",
  },
  {
    what: "a bad request id",
    path: "/api/tickets",
    body: ticket({ requestId: "twice" }),
    field: "request_id",
  },
  { what: "a wrong type", path: "/api/tickets", body: ticket({ title: { $gt: "" } }) },
  {
    what: "a price that is not a number",
    path: "/api/tickets",
    body: ticket({ price: eur("1e309") }),
  },
  { what: "invalid JSON", path: "/api/tickets", body: "{" },
  { what: "deeply nested JSON", path: "/api/tickets", body: "[".repeat(10_000) },
  {
    what: "another content type",
    path: "/api/tickets",
    body: "title=x",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    status: 415,
  },
  { what: "an oversized body", path: "/api/tickets", body: ticket({ venue: "x".repeat(200_000) }) },
  { what: "a bad ticket id", method: "GET", path: "/api/tickets/1" },
  {
    what: "a ticket that does not exist",
    method: "GET",
    path: `/api/tickets/${someId}`,
    status: 404,
  },
  { what: "a negative page", method: "GET", path: "/api/tickets?page_size=-1", field: "page_size" },
  {
    what: "a garbage page token",
    method: "GET",
    path: "/api/tickets?page_token=garbage",
    field: "page_token",
  },
  {
    what: "an order by price without a currency",
    method: "GET",
    path: "/api/tickets?order_by=TICKET_SORT_PRICE_ASCENDING",
  },
  { what: "an unknown parameter", method: "GET", path: "/api/tickets?sort=price" },
  { what: "no ticket", path: "/api/orders", body: {}, field: "ticket_id" },
  {
    what: "an invalid ticket id",
    path: "/api/orders",
    body: { ticketId: "1" },
    field: "ticket_id",
  },
  { what: "an unknown ticket", path: "/api/orders", body: { ticketId: someId }, status: 404 },
  {
    what: "a negative version",
    path: "/api/orders",
    body: { ticketId: someId, ticketVersion: "-1" },
    field: "ticket_version",
  },
  {
    what: "an order that does not exist",
    method: "DELETE",
    path: `/api/orders/${someId}`,
    status: 404,
  },
  { what: "no token", path: "/api/payments", body: { orderId: someId }, field: "token" },
  {
    what: "an invalid token",
    path: "/api/payments",
    body: { orderId: someId, token: "4242424242424242" },
    field: "token",
  },
  {
    what: "no address",
    path: "/api/users/signup",
    body: { email: "nobody", password: "long enough" },
    field: "email",
  },
  {
    what: "a short password",
    path: "/api/users/signup",
    body: { email: "a@example.com", password: "short" },
    field: "password",
  },
];

const request = ({ method = "POST", path, body, headers = {} }: Bad): Promise<Response> =>
  fetch(url + path, {
    method,
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${person.token}`,
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });

interface Status {
  code: number;
  message: string;
  details?: { fieldViolations?: { field: string }[] }[];
}

describe("bad input", () => {
  it("gets a 4xx error that names the field, and stores nothing", async () => {
    const before = await stored();
    for (const one of bad) {
      const answer = await request(one);
      const text = await answer.text();
      const told = `${one.what}: ${answer.status} ${text}`;
      expect(answer.status, told).toBeGreaterThanOrEqual(400);
      expect(answer.status, told).toBeLessThan(500);
      if (one.status) expect(answer.status, told).toBe(one.status);
      const { message, details = [] } = JSON.parse(text) as Status;
      expect(message, told).not.toBe("");
      if (!one.field) continue;
      const fields = details.flatMap(({ fieldViolations = [] }) =>
        fieldViolations.map(({ field }) => field),
      );
      expect(
        fields.some((field) => field.startsWith(one.field ?? "")),
        told,
      ).toBe(true);
    }
    expect(await stored()).toEqual(before);
  });

  it("is rejected by the RPC paths in every protocol", async () => {
    const path = `${url}/ticketing.orders.v1.OrderService/CreateOrder`;
    const types = [
      "application/json",
      "application/proto",
      "application/grpc-web+proto",
      "application/grpc-web+json",
      "text/plain",
    ];
    for (const type of types) {
      for (const body of [
        "{",
        "garbage",
        "\u0000\u0000\u0000\u0000\u0005garba",
        "x".repeat(200_000),
      ]) {
        const headers = { "content-type": type, authorization: `Bearer ${person.token}` };
        const answer = await fetch(path, { method: "POST", headers, body });
        const told = `${type} ${body.slice(0, 10)}: ${answer.status}`;
        expect(answer.status, told).toBeLessThan(500);
        const status = answer.headers.get("grpc-status");
        // 2 is UNKNOWN and 13 is INTERNAL, which both mean a server error.
        if (status) expect(["0", "2", "13"], told).not.toContain(status);
      }
    }
  });

  it("cannot show or cancel another user's order", async () => {
    const thief = await signUp(url, "thief");
    const headers = { authorization: `Bearer ${thief.token}` };
    for (const [method, path] of [
      ["GET", `/api/orders/${orderId}`],
      ["DELETE", `/api/orders/${orderId}`],
      ["GET", `/api/payments/${orderId}`],
    ] as const) {
      expect((await fetch(url + path, { method, headers })).status, `${method} ${path}`).toBe(404);
    }
    const { orders } = await thief.orders.listOrders({});
    expect(orders).toEqual([]);
  });
});
