import { expect, inject, it } from "vitest";
import { services } from "#marketplace/catalogue.ts";
import { SeededRandom } from "./testing/seeded-random.ts";
import { respondsOk, isServing, acceptsMail } from "./fuzzing/health.ts";
import { malformedHttp1 } from "./fuzzing/http1.ts";
import { malformedHttp2 } from "./fuzzing/http2.ts";
import { sendMalformedMessages } from "./fuzzing/messages.ts";
import { malformedSmtp } from "./fuzzing/smtp.ts";
import { exchange, runConcurrently } from "./fuzzing/connection.ts";
import { until } from "#stack/process";
import "./testing/setup.ts"; // For the type of what it provides.

// P54: malformed input ends no process.

const SEED = process.env["SEED"] ?? String(Date.now() % 1_000_000);
console.log(`fuzzing: SEED=${SEED}`);

const REQUESTS = 80;
const MESSAGES = 25;
const CONCURRENCY = 10;

const marketplace = inject("marketplace");
const hostOf = (url: string): string => new URL(url).host;

const processes = async (): Promise<unknown> =>
  (await fetch(`${marketplace.control}/processes`)).json() as unknown;

type Make = (random: SeededRandom) => Buffer[];

/** Sends malformed requests to an address. Then each process must still run and be healthy. */
async function fuzz(
  name: string,
  address: string,
  make: Make,
  isHealthy: () => Promise<boolean>,
  { greeted = false } = {},
): Promise<void> {
  const before = await processes();
  const random = new SeededRandom(`${SEED} ${name}`);
  const tasks = Array.from({ length: REQUESTS }, () => {
    const pieces = make(random);
    const how = {
      half: random.oneIn(3),
      reset: random.oneIn(3),
      greeted: greeted && !random.oneIn(9),
    };
    return () => exchange(address, pieces, how);
  });
  await runConcurrently(CONCURRENCY, tasks);
  await until(isHealthy, { what: `${name} to answer`, timeoutMs: 30_000 }).catch(
    async (error: unknown) => {
      // This error is more precise than the timeout.
      expect(await processes(), name).toEqual(before);
      throw error;
    },
  );
  expect(await processes(), name).toEqual(before);
}

const rpcPaths = [
  ...services.flatMap(({ typeName, methods }) =>
    methods.map((each) => `/${typeName}/${each.name}`),
  ),
  ...["Check", "Watch"].map((method) => `/grpc.health.v1.Health/${method}`),
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];
const plainPaths = [
  "/healthz",
  "/readyz",
  "/metrics",
  "/.well-known/jwks.json",
  "/webhooks/stripe",
];
const pages = [
  "/",
  "/healthz",
  "/signin",
  "/account",
  "/tickets/1",
  "/orders",
  "/_app/version.json",
];
const restPaths = ["/api/tickets", "/api/orders", "/api/users/signin", "/api/users/me"];
const stripePaths = [
  ...["/v1/payment_intents", "/v1/payment_intents/x?expand[]=a.b", "/v1/events?limit=-1", "/v1/x"],
  ...[
    "/v1/refunds?created[gt]=x",
    "/challenge/x",
    "/onboarding/x",
    "/v1/accounts/%zz",
    "/v1/charges",
  ],
];
const stripeKey = `authorization: Bearer ${marketplace.stripeKey}\r\n`;

const ports = (of: Record<string, string[]>): [string, string][] =>
  Object.entries(of).flatMap(([name, list]) => list.map((at): [string, string] => [name, at]));

it.each(ports(marketplace.rpc))(
  "no malformed request stops %s, on its RPC port %s",
  async (name, at) => {
    const make: Make = (random) =>
      random.oneIn(8) ? malformedHttp1(random, rpcPaths) : malformedHttp2(random, rpcPaths);
    await fuzz(`${name} rpc`, at, make, () => isServing(at));
  },
);

it.each(ports(marketplace.http))(
  "no malformed request stops %s, on its HTTP port %s",
  async (name, at) => {
    const make: Make = (random) =>
      random.oneIn(12) ? malformedHttp2(random, plainPaths) : malformedHttp1(random, plainPaths);
    await fuzz(`${name} http`, at, make, () => respondsOk(`http://${at}/healthz`));
  },
);

it("no malformed request stops any process through the edge, over HTTP/1.1 or HTTP/2", async () => {
  const known = [...pages, ...restPaths, ...rpcPaths, "/webhooks/stripe"];
  const make: Make = (random) =>
    random.oneIn(2) ? malformedHttp2(random, known) : malformedHttp1(random, known);
  const isHealthy = async (): Promise<boolean> =>
    (await respondsOk(`${marketplace.url}/api/tickets`)) && respondsOk(`${marketplace.url}/`);
  await fuzz("the edge", hostOf(marketplace.url), make, isHealthy);
});

it.each([
  ["the storefront", marketplace.webUrl, pages, "/healthz", ""],
  ["the local Stripe", marketplace.stripeUrl, stripePaths, "/v1/events", stripeKey],
  ["the mailbox", marketplace.mailboxUrl, ["/", "/mails"], "/mails", ""],
])("no malformed request stops %s", async (name, url, known, path, more) => {
  const make: Make = (random) => malformedHttp1(random, known, more);
  // Without an API key the local Stripe responds with an error.
  const any = name === "the local Stripe";
  await fuzz(name, hostOf(url), make, () => respondsOk(url + path, { any }));
});

it("no malformed mail stops the mailbox", async () => {
  const at = hostOf(marketplace.smtpUrl);
  const isHealthy = async () =>
    (await acceptsMail(at)) && respondsOk(`${marketplace.mailboxUrl}/mails`);
  await fuzz("mails", at, malformedSmtp, isHealthy, { greeted: true });
});

it.each(Object.entries(marketplace.brokerUrls))(
  "no malformed message stops %s",
  async (service, own) => {
    const before = await processes();
    const random = new SeededRandom(`${SEED} messages of ${service}`);
    await sendMalformedMessages(random, service, { admin: marketplace.amqpUrl, own }, MESSAGES);
    for (const at of marketplace.rpc[service] ?? []) expect(await isServing(at)).toBe(true);
    expect(await processes()).toEqual(before);
  },
);
