import { create, getOption, toBinary, type DescMethod } from "@bufbuild/protobuf";
import { http } from "@ticketing/proto/google/api/annotations";
import { access, Access } from "@ticketing/proto/options/v1/options";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { services } from "#marketplace/catalogue.ts";
import { listTicket, signUp, type Person } from "./testing/person.ts";
import "./testing/setup.ts"; // For the type of what it provides.

const { url } = inject("marketplace");
const methods = services.flatMap((service) => service.methods);
const isOpen = (method: DescMethod): boolean => getOption(method, access) === Access.ANYONE;

let seller: Person;
let ticketId: string;
let cookies: [string, string][];

/** A token with valid claims that is signed by another key than auth's. */
async function forge(expiresIn: string): Promise<string> {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const published = await (await fetch(`${url}/.well-known/jwks.json`)).json();
  const [{ kid }] = (published as { keys: [{ kid: string }] }).keys;
  return new SignJWT({ sid: crypto.randomUUID(), roles: ["administrator"] })
    .setProtectedHeader({ alg: "ES256", kid, jwk: await exportJWK(publicKey) })
    .setSubject(crypto.randomUUID())
    .setIssuer("ticketing")
    .setAudience("ticketing")
    .setIssuedAt()
    .setExpirationTime(expiresIn)
    .sign(privateKey);
}

beforeAll(async () => {
  seller = await signUp(url, "seller");
  ticketId = (await listTicket(seller)).id;
  const [header, payload, signature] = seller.token.split(".");
  const older = Buffer.from(
    JSON.stringify({ ...JSON.parse(Buffer.from(payload ?? "", "base64url").toString()), exp: 1 }),
  ).toString("base64url");
  cookies = [
    ["garbage", "garbage"],
    ["forged", await forge("5m")],
    ["forged and expired", await forge("-5m")],
    ["tampered", `${header}.${older}.${signature}`],
    ["another's signature", `${header}.${payload}.${"A".repeat(86)}`],
  ];
});

interface Call {
  name: string;
  path: string;
  init: RequestInit;
}

/** A method as HTTP requests: by its REST path, and by its RPC path in both formats of Connect. */
function callsOf(method: DescMethod): Call[] {
  const { pattern } = getOption(method, http);
  const path = String(pattern.value).replace("{id}", ticketId).replace("{order_id}", ticketId);
  const name = `${method.parent.typeName}/${method.name}`;
  const verb = String(pattern.case).toUpperCase();
  const body = verb === "POST" || verb === "PUT" ? "{}" : undefined;
  const json = { "content-type": "application/json" };
  const empty = toBinary(method.input, create(method.input));
  return [
    {
      name: `${verb} ${path}`,
      path,
      init: { method: verb, headers: json, ...(body ? { body } : {}) },
    },
    {
      name: `${name} as JSON`,
      path: `/${name}`,
      init: { method: "POST", headers: json, body: "{}" },
    },
    {
      name: `${name} as Protobuf`,
      path: `/${name}`,
      init: {
        method: "POST",
        headers: { "content-type": "application/proto" },
        body: Buffer.from(empty),
      },
    },
  ];
}

const send = ({ path, init }: Call, headers: Record<string, string>): Promise<Response> =>
  fetch(url + path, {
    ...init,
    redirect: "manual",
    headers: { ...(init.headers as Record<string, string>), origin: url, ...headers },
  });

describe("a cookie that is stale, garbage or forged", () => {
  it("counts as no cookie on every open method", async () => {
    for (const call of methods.filter(isOpen).flatMap(callsOf)) {
      const without = await send(call, {});
      for (const [kind, cookie] of cookies) {
        const answer = await send(call, { cookie: `ticketing_access=${cookie}` });
        // Some methods reject an empty request, but never because of the caller.
        expect(answer.status, `${call.name} with a ${kind} cookie`).toBe(without.status);
        expect([200, 400, 401]).toContain(answer.status);
        if (answer.status === 401) expect(await answer.text()).toMatch(/SESSION_ENDED/);
      }
    }
  });

  it("identifies no user", async () => {
    for (const [, cookie] of cookies) {
      const asked = await fetch(`${url}/api/users/currentuser`, {
        headers: { cookie: `ticketing_access=${cookie}` },
      });
      expect(asked.status).toBe(200);
      expect(await asked.json()).not.toHaveProperty("user");
    }
  });

  it("gets 401 from every protected method, as a cookie and as a bearer", async () => {
    const protectedMethods = methods.filter((method) => !isOpen(method));
    expect(protectedMethods.length).toBeGreaterThan(8);
    for (const call of protectedMethods.flatMap(callsOf)) {
      expect((await send(call, {})).status, `${call.name} without a token`).toBe(401);
      for (const [kind, token] of cookies) {
        const asCookie = await send(call, { cookie: `ticketing_access=${token}` });
        expect(asCookie.status, `${call.name} with a ${kind} cookie`).toBe(401);
        const asBearer = await send(call, { authorization: `Bearer ${token}` });
        expect(asBearer.status, `${call.name} with a ${kind} bearer`).toBe(401);
        const asQuery = await send(
          { ...call, path: `${call.path}?access_token=${seller.token}` },
          {},
        );
        expect(asQuery.status, `${call.name} with a token in the query`).toBe(401);
      }
    }
  });

  it("gets every open page without a user, and a redirect to sign-in from every protected one", async () => {
    for (const [kind, cookie] of [...cookies, ["absent", ""] as const]) {
      const headers = { cookie: `ticketing_access=${cookie}; ticketing_refresh=${cookie}` };
      for (const path of ["/", `/tickets/${ticketId}`, "/sign-in", "/sign-up"]) {
        const page = await fetch(url + path, { headers, redirect: "manual" });
        expect(page.status, `${path} with a ${kind} cookie`).toBe(200);
        expect(await page.text()).toContain("/sign-in");
      }
      for (const path of ["/orders", "/listings", "/tickets/new", `/orders/${ticketId}`]) {
        const page = await fetch(url + path, { headers, redirect: "manual" });
        expect(page.status, `${path} with a ${kind} cookie`).toBe(303);
        expect(page.headers.get("location")).toMatch(/^\/sign-in\?next=/);
      }
    }
  });
});

describe("an unknown path", () => {
  it.each([
    "/api/nothing",
    "/api/tickets/1/2/3",
    "/ticketing.orders.v1.OrderService/Nothing",
    "/API/tickets",
  ])(
    "%s is rejected as JSON or is the storefront's 404, and never bypasses the token",
    async (path) => {
      const answer = await fetch(url + path, {
        headers: { authorization: `Bearer ${seller.token}` },
      });
      expect([404, 405, 415, 400]).toContain(answer.status);
    },
  );
});

it("an anonymous Connect GET can be cached and confirmed, a signed-in one cannot", async () => {
  const query = "connect=v1&encoding=json&message=%7B%7D";
  const list = (headers: Record<string, string> = {}) =>
    fetch(`${url}/ticketing.tickets.v1.TicketService/ListTickets?${query}`, { headers });
  const first = await list();
  expect(first.headers.get("cache-control")).toBe("public, max-age=0, s-maxage=1");
  expect(first.headers.get("vary")).toContain("cookie");
  const etag = first.headers.get("etag") ?? "";
  const again = await list({ "if-none-match": etag });
  expect([again.status, await again.text()]).toEqual([304, ""]);
  const own = await list({ authorization: `Bearer ${seller.token}`, "if-none-match": etag });
  expect(own.status).toBe(200);
  expect(own.headers.get("cache-control")).toBe("no-store");
  expect(own.headers.get("etag")).toBeNull();
});

it("the public keys can be cached for a minute, and other responses of the API cannot be cached", async () => {
  const policy = async (path: string) => (await fetch(url + path)).headers.get("cache-control");
  expect(await policy("/.well-known/jwks.json")).toBe("public, max-age=60");
  for (const path of ["/api/tickets", "/api/users/currentuser", "/api/orders"])
    expect(await policy(path), path).toBe("no-store");
});
