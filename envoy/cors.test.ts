import { afterAll, beforeAll, expect, it } from "vitest";
import { type EdgeFixture, startEdgeFixture } from "./testing/edge-fixture.ts";
import { request } from "./testing/http-request.ts";

const app = "https://app.example";
let fixture: EdgeFixture;
beforeAll(
  async () => void (fixture = await startEdgeFixture({ variables: { CORS_ORIGINS: app } })),
  90_000,
);
afterAll(() => fixture[Symbol.asyncDispose]());

const preflight = (origin: string) =>
  request(fixture, "OPTIONS", "/api/orders", {
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type",
    },
  });

const otherOrigins = [
  "https://evil.example",
  "https://app.example.evil.test",
  "https://evil-app.example",
  "http://app.example",
  "https://app.example:8443",
  "null",
];

it("a page of an allowed origin can call with a token, and read the response", async () => {
  const asked = await preflight(app);
  expect(asked.status).toBe(200);
  expect(asked.headers["access-control-allow-origin"]).toBe(app);
  expect(asked.headers["access-control-allow-headers"]).toContain("authorization");

  const authorization = `Bearer ${await fixture.token()}`;
  const headers = { authorization, origin: app };
  const answer = await request(fixture, "POST", "/api/orders", { headers, body: {} });
  expect(answer.status).toBe(200);
  expect(answer.headers["access-control-allow-origin"]).toBe(app);
});

it("a page of an allowed origin can sign in without a token", async () => {
  const answer = await request(fixture, "POST", "/api/users/signin", {
    headers: { origin: app },
    body: {},
  });
  expect(answer.status).toBe(200);
});

it.each([
  ["GET", "/api/orders/a/b/c", 404],
  ["PUT", "/api/orders", 405],
  ["POST", "/api/orders", 415],
  ["GET", "/api/orders", 401],
  ["POST", "/ticketing.orders.v1.OrderService/None", 404],
] as const)(
  "a page of an allowed origin may read an error: %s %s %i",
  async (method, path, status) => {
    const headers = { origin: app, "content-type": "text/plain" };
    const body = method === "GET" ? {} : { body: "x" };
    const answer = await request(fixture, method, path, { headers, ...body });
    expect(answer.status).toBe(status);
    expect(answer.headers["access-control-allow-origin"]).toBe(app);
  },
);

it("a page of an allowed origin cannot use cookies", async () => {
  const asked = await preflight(app);
  expect(asked.headers).not.toHaveProperty("access-control-allow-credentials");
});

it.each(otherOrigins)("a page of %s is not allowed", async (origin) => {
  const asked = await preflight(origin);
  expect(asked.headers).not.toHaveProperty("access-control-allow-origin");
  expect(asked.status).toBeGreaterThanOrEqual(400);
  const authorization = `Bearer ${await fixture.token()}`;
  const read = await request(fixture, "GET", "/api/orders", { headers: { origin, authorization } });
  expect(read.headers).not.toHaveProperty("access-control-allow-origin");
  const change = await request(fixture, "POST", "/api/users/signin", {
    headers: { origin },
    body: {},
  });
  // For a change only the host is compared, as the edge behind TLS does not know the scheme.
  expect(change.status).toBe(origin === "http://app.example" ? 200 : 403);
});
