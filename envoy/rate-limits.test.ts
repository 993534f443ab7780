import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { services } from "#marketplace/catalogue.ts";
import { classOf } from "./config/rate-limits.ts";
import { type EdgeFixture, startEdgeFixture } from "./testing/edge-fixture.ts";
import { request } from "./testing/http-request.ts";

describe("the class of a method", () => {
  const methods = services.flatMap((each) => each.methods);
  const namesOf = (of: string) =>
    methods
      .filter((each) => classOf(each) === of)
      .map(({ name }) => name)
      .sort();

  it("is that of an attempt if it tries a password, a code or an address", () => {
    expect(namesOf("attempt")).toEqual([
      "ChangeEmail",
      "ChangePassword",
      "ConfirmEmail",
      "DeleteAccount",
      "RefreshSession",
      "RequestPasswordReset",
      "ResetPassword",
      "SendConfirmation",
      "SignIn",
      "SignUp",
      "UndoEmailChange",
    ]);
  });

  it("is that of a search if one call reads much", () => {
    expect(namesOf("search")).toEqual(["ExportAccount", "ExportTickets", "ListTickets"]);
  });

  it("is that of a hold for a new order, and that of a payment for what needs Stripe", () => {
    expect(namesOf("hold")).toEqual(["CreateOrder"]);
    expect(namesOf("payment")).toContain("CreatePayment");
  });
});

const PER_ACCOUNT = 3;
const PER_NETWORK = 10 * PER_ACCOUNT;
const ID = "019f0000-0000-7000-8000-000000000001";

let fixture: EdgeFixture;
beforeAll(async () => {
  const limit = String(PER_ACCOUNT);
  const variables = {
    EDGE_READS_PER_MINUTE: limit,
    EDGE_SEARCHES_PER_MINUTE: limit,
    EDGE_WRITES_PER_MINUTE: limit,
    EDGE_PAYMENTS_PER_MINUTE: limit,
    EDGE_PAGES_PER_MINUTE: limit,
  };
  fixture = await startEdgeFixture({ variables });
}, 90_000);
afterAll(() => fixture[Symbol.asyncDispose]());

interface Call {
  readonly verb?: string;
  readonly path?: string;
  readonly address: string;
  readonly user?: string;
  readonly cookie?: boolean;
  readonly body?: unknown;
}

async function call({ verb = "GET", path = "/api/orders", address, user, cookie, body }: Call) {
  const token = user === undefined ? undefined : await fixture.token({ sub: user });
  const credentials = cookie
    ? { cookie: `ticketing_access=${token}`, origin: fixture.edge.url }
    : { authorization: `Bearer ${token}` };
  return request(fixture, verb, path, {
    headers: { "x-forwarded-for": address, ...(token && credentials) },
    body,
  });
}

/** The statuses of this many calls, each from the address that `of` gives it. */
async function statuses(count: number, of: (index: number) => Call): Promise<number[]> {
  const found: number[] = [];
  for (let index = 0; index < count; index++) found.push((await call(of(index))).status);
  return found;
}

const times = (count: number, status: number): number[] => Array<number>(count).fill(status);

describe("the limit of an account", () => {
  it.each<[string, Omit<Call, "address">]>([
    ["reads", { path: "/api/orders" }],
    ["writes", { verb: "POST", path: `/api/tickets/${ID}/relist`, body: {} }],
    ["payments", { verb: "POST", path: "/api/payments", body: {} }],
  ])("applies to its %s from any network, and to no other account", async (what, of) => {
    const user = `spread-${what}`;
    const found = await statuses(PER_ACCOUNT + 2, (index) => ({
      ...{ ...of, user, address: `198.51.100.${index}` },
      cookie: index % 2 === 0, // A cookie and a header name the same account.
    }));
    expect(found).toEqual([...times(PER_ACCOUNT, 200), 429, 429]);
    const other = { ...of, user: `other-${what}`, address: "198.51.100.0" };
    expect((await call(other)).status).toBe(200);
  });

  it("is not used up by a token that somebody made up", async () => {
    const forged = `${(await fixture.token({ sub: "victim" })).slice(0, -6)}AAAAAA`;
    for (let attempt = 0; attempt < PER_ACCOUNT + 2; attempt++) {
      const headers = { "x-forwarded-for": "198.51.101.1", authorization: `Bearer ${forged}` };
      expect((await request(fixture, "GET", "/api/orders", { headers })).status).toBe(401);
    }
    expect((await call({ user: "victim", address: "198.51.101.2" })).status).toBe(200);
  });
});

describe("the limit of a network", () => {
  it("is ten times that of an account, for each class by itself", async () => {
    const address = "203.0.113.20";
    const anonymous = await statuses(PER_NETWORK + 1, () => ({ path: "/api/tickets", address }));
    expect(anonymous).toEqual([...times(PER_NETWORK, 200), 429]);
    expect((await call({ path: `/api/tickets/${ID}`, address })).status).not.toBe(429);
    expect((await call({ path: "/api/tickets", address: "203.0.113.21" })).status).toBe(200);
  });

  it("counts a call as the same, whatever protocol and spelling it uses", async () => {
    const address = "203.0.113.30";
    const rpc = "/ticketing.tickets.v1.TicketService/ListTickets";
    const forms: Call[] = [
      { path: "/api/tickets", address },
      { path: "/api/tickets/?query=a", address },
      { path: "//api//tickets", address },
      { verb: "HEAD", path: "/api/tickets", address },
      { verb: "POST", path: rpc, body: {}, address },
      { path: `${rpc}?connect=v1&encoding=json&message=%7B%7D`, address },
    ];
    const found = await statuses(PER_NETWORK, (index) => forms[index % forms.length]!);
    expect(found).toEqual(times(PER_NETWORK, 200));
    for (const form of forms) expect((await call(form)).status).toBe(429);
  });

  it("is shared by an IPv6 /64", async () => {
    const of = (index: number) => ({ path: "/api/tickets", address: `2001:db8:0:1::${index + 1}` });
    expect(await statuses(PER_NETWORK + 1, of)).toEqual([...times(PER_NETWORK, 200), 429]);
    expect((await call({ path: "/api/tickets", address: "2001:db8:0:2::1" })).status).toBe(200);
  });

  it("applies to the storefront's pages, and not to their files", async () => {
    const address = "203.0.113.40";
    const pages = await statuses(PER_ACCOUNT + 1, (index) => ({ path: `/page/${index}`, address }));
    expect(pages).toEqual([...times(PER_ACCOUNT, 200), 429]);
    const refused = await call({ path: "/", address });
    expect(refused).toMatchObject({ status: 429, text: expect.stringContaining("slow down") });
    expect(refused.headers["retry-after"]).toBeDefined();
    const files = () => ({ path: "/_app/immutable/entry/start.js", address });
    expect(await statuses(PER_ACCOUNT + 2, files)).toEqual(times(PER_ACCOUNT + 2, 200));
  });

  it("does not apply to the webhook, the keys and the health check", async () => {
    const address = "203.0.113.50";
    for (const path of ["/.well-known/jwks.json", "/healthz", "/edge/client-address"]) {
      const found = await statuses(PER_NETWORK + 1, () => ({ path, address }));
      expect(new Set(found).has(429)).toBe(false);
    }
    const webhook = () => ({ verb: "POST", path: "/webhooks/stripe", body: {}, address });
    expect(await statuses(PER_NETWORK + 1, webhook)).toEqual(times(PER_NETWORK + 1, 200));
  });
});

it("names the reason and the time to wait, and a page of an allowed origin can read them", async () => {
  const of = { user: "reader", address: "203.0.113.60" };
  await statuses(PER_ACCOUNT, () => of);
  const refused = await call(of);
  expect(refused.json).toMatchObject({
    code: Code.ResourceExhausted,
    details: [{ reason: "TOO_MANY_REQUESTS", domain: "ticketing" }],
  });
  expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
});
