import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "#stack/process";
import { type EdgeFixture, startEdgeFixture } from "./testing/edge-fixture.ts";
import { request } from "./testing/http-request.ts";
import { requestUntilAvailable, UNTRUSTED_ADDRESS } from "./testing/wire.ts";

// Callers have loopback addresses: 127.0.0.1 is the storefront, 127.0.0.9 a load
// balancer, and UNTRUSTED_ADDRESS any other client.
const BALANCER = "127.0.0.9";
let fixture: EdgeFixture;
const trusted = { TRUSTED_NETWORKS: `127.0.0.1/32, ${BALANCER}/32`, EDGE_REFLECTION: "false" };
// The limits have their defaults.
const limits = { EDGE_ATTEMPTS_PER_MINUTE: "60", EDGE_HOLDS_PER_MINUTE: "20" };
beforeAll(async () => {
  fixture = await startEdgeFixture({ variables: { ...trusted, ...limits } });
  const headers = { authorization: `Bearer ${await fixture.token()}` };
  const there = async () =>
    (await request(fixture, "GET", "/api/orders", { headers })).status === 200;
  await until(there, { what: "orders to be asked" });
}, 90_000);
afterAll(() => fixture[Symbol.asyncDispose]());

const address = async (from: string, forwarded?: string): Promise<string> => {
  const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
  const answer = await request(fixture, "GET", "/edge/client-address", { headers, from });
  return String(answer.headers["x-client-address"]);
};
const forged = (n: number) => ({ "x-forwarded-for": `203.0.113.${n}` });

/** Of concurrent calls, as many pass as the limit per minute, and those that the passing time adds. */
async function limited(limit: number, calls: (() => Promise<{ status: number }>)[]): Promise<void> {
  const begun = performance.now();
  const statuses = (await Promise.all(calls.map((call) => call()))).map(({ status }) => status);
  const minutes = (performance.now() - begun) / 60_000;
  const passed = statuses.filter((status) => status !== 429).length;
  expect(passed, String(statuses)).toBeGreaterThanOrEqual(limit);
  expect(passed).toBeLessThanOrEqual(limit + Math.ceil(limit * minutes));
}

describe("the address of a caller", () => {
  it("is trusted from a trusted network, and from no other", async () => {
    expect(await address("127.0.0.1", "203.0.113.7")).toBe("203.0.113.7");
    expect(await address(BALANCER, "9.9.9.9, 203.0.113.7")).toBe("203.0.113.7");
    expect(await address(UNTRUSTED_ADDRESS, "203.0.113.7")).toBe(UNTRUSTED_ADDRESS);
    expect(await address("127.0.0.77", "203.0.113.7, 127.0.0.1")).toBe("127.0.0.77");
  });

  it("is that of the hop itself if the hop does not set the header", async () => {
    expect(await address(BALANCER)).toBe(BALANCER);
    expect(await address(UNTRUSTED_ADDRESS)).toBe(UNTRUSTED_ADDRESS);
  });

  it("is forwarded to the storefront as the edge determined it", async () => {
    const headers = { "x-forwarded-for": "203.0.113.7" };
    const seen = async (from: string) =>
      (await requestUntilAvailable(fixture, "GET", "/tickets", { headers, from })).json.headers[
        "x-forwarded-for"
      ];
    expect(await seen(BALANCER)).toBe("203.0.113.7");
    expect(await seen(UNTRUSTED_ADDRESS)).toBe(UNTRUSTED_ADDRESS);
  });
});

describe("the scheme of a caller", () => {
  const scheme = async (from: string, proto: string, rest: object = {}) => {
    const headers = { "x-forwarded-proto": proto, ...rest };
    const answer = await requestUntilAvailable(fixture, "GET", "/tickets", { headers, from });
    return answer.json.headers["x-forwarded-proto"];
  };

  it("is trusted from a hop whose address header is trusted", async () => {
    expect(await scheme(BALANCER, "https", forged(1))).toBe("https");
    expect(await scheme(BALANCER, "http", forged(1))).toBe("http");
  });

  it("is http from every other client, as TLS ends before the edge", async () => {
    expect(await scheme(UNTRUSTED_ADDRESS, "https", forged(1))).toBe("http");
    expect(await scheme(UNTRUSTED_ADDRESS, "https")).toBe("http");
    expect(await scheme(UNTRUSTED_ADDRESS, "https", { "x-edge-peer": "1.2.3.4:5" })).toBe("http");
    // This hop sets no client address, so its scheme is ignored.
    expect(await scheme(BALANCER, "https")).toBe("http");
  });

  it("is http or https, and nothing else", async () => {
    for (const odd of ["https,http", "%", "javascript", "HTTPS://x", ""]) {
      const headers = { "x-forwarded-proto": odd, ...forged(1) };
      const answer = await requestUntilAvailable(fixture, "GET", "/tickets", {
        headers,
        from: BALANCER,
      });
      // Envoy rejects or normalizes it.
      if (answer.status === 200) expect(answer.json.headers["x-forwarded-proto"]).toBe("http");
      else expect(answer.status, odd).toBeGreaterThanOrEqual(400);
    }
  });
});

describe("limits for each address, by default", () => {
  it("80 spoofed addresses of one client do not exceed the limit of 60 attempts", async () => {
    const attempt = (n: number) => () =>
      request(fixture, "POST", "/api/users/signin", {
        headers: forged(n),
        body: {},
        from: UNTRUSTED_ADDRESS,
      });
    await limited(
      60,
      Array.from({ length: 80 }, (_, n) => attempt(n)),
    );
  });

  it("one address can create 20 orders a minute over all protocols, and others are not affected", async () => {
    const authorization = `Bearer ${await fixture.token()}`;
    const order = (n: number, path: string, from = UNTRUSTED_ADDRESS) => {
      const headers = { authorization, ...forged(n) };
      return request(fixture, "POST", path, { headers, body: {}, from });
    };
    const ways = [
      "/api/orders",
      "/ticketing.orders.v1.OrderService/CreateOrder",
      "/api//orders?",
      "/ticketing.orders.v1.OrderService/CreateOrder?a=b",
    ];
    const calls = Array.from({ length: 60 }, (_, n) => () => order(n, ways[n % 4] as string));
    await limited(20, calls);
    const refused = await order(0, "/api/orders");
    expect(refused.json).toMatchObject({ code: 8, details: [{ reason: "TOO_MANY_ATTEMPTS" }] });
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);

    for (let n = 0; n < 30; n++)
      expect((await order(n, "/api/orders", "127.0.0.1")).status, "others").not.toBe(429);
    const headers = { authorization };
    const read = { headers, from: UNTRUSTED_ADDRESS };
    expect((await request(fixture, "GET", "/api/orders", read)).status).not.toBe(429);
  });

  it("reflection is off", async () => {
    const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    expect((await request(fixture, "POST", path)).status).toBe(404);
  });
});
