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
console.log(`raw requests: SEED=${SEED}`);

const REQUESTS = 80;
const LETTERS = 25;
const AT_ONCE = 10;

const marketplace = inject("marketplace");
const hostOf = (url: string): string => new URL(url).host;

const processes = async (): Promise<unknown> =>
  (await fetch(`${marketplace.control}/processes`)).json() as unknown;

type Make = (chance: SeededRandom) => Buffer[];

/** Throws such requests at an address; then each process must be the one that it was, and well. */
async function bombard(
  name: string,
  address: string,
  make: Make,
  well: () => Promise<boolean>,
  { greeted = false } = {},
): Promise<void> {
  const before = await processes();
  const chance = new SeededRandom(`${SEED} ${name}`);
  const works = Array.from({ length: REQUESTS }, () => {
    const pieces = make(chance);
    const how = {
      half: chance.oneIn(3),
      reset: chance.oneIn(3),
      greeted: greeted && !chance.oneIn(9),
    };
    return () => exchange(address, pieces, how);
  });
  await runConcurrently(AT_ONCE, works);
  await until(well, { what: `${name} to answer`, timeoutMs: 30_000 }).catch(
    async (error: unknown) => {
      expect(await processes(), name).toEqual(before); // Says more than that nobody answered.
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

it.each(ports(marketplace.rpc))("no raw request ends %s, on its RPC port %s", async (name, at) => {
  const make: Make = (chance) =>
    chance.oneIn(8) ? malformedHttp1(chance, rpcPaths) : malformedHttp2(chance, rpcPaths);
  await bombard(`${name} rpc`, at, make, () => isServing(at));
});

it.each(ports(marketplace.http))(
  "no raw request ends %s, on its plain port %s",
  async (name, at) => {
    const make: Make = (chance) =>
      chance.oneIn(12) ? malformedHttp2(chance, plainPaths) : malformedHttp1(chance, plainPaths);
    await bombard(`${name} http`, at, make, () => respondsOk(`http://${at}/healthz`));
  },
);

it("no raw request ends anything through the edge, in both of its protocols", async () => {
  const known = [...pages, ...restPaths, ...rpcPaths, "/webhooks/stripe"];
  const make: Make = (chance) =>
    chance.oneIn(2) ? malformedHttp2(chance, known) : malformedHttp1(chance, known);
  const well = async (): Promise<boolean> =>
    (await respondsOk(`${marketplace.url}/api/tickets`)) && respondsOk(`${marketplace.url}/`);
  await bombard("the edge", hostOf(marketplace.url), make, well);
});

it.each([
  ["the storefront", marketplace.webUrl, pages, "/healthz", ""],
  ["the local Stripe", marketplace.stripeUrl, stripePaths, "/v1/events", stripeKey],
  ["the mailbox", marketplace.mailboxUrl, ["/", "/mails"], "/mails", ""],
])("no raw request ends %s", async (name, url, known, path, more) => {
  const make: Make = (chance) => malformedHttp1(chance, known, more);
  const any = name === "the local Stripe"; // Without its key, its answer is a refusal.
  await bombard(name, hostOf(url), make, () => respondsOk(url + path, { any }));
});

it("no mail ends the mailbox", async () => {
  const at = hostOf(marketplace.smtpUrl);
  const well = async () => (await acceptsMail(at)) && respondsOk(`${marketplace.mailboxUrl}/mails`);
  await bombard("mails", at, malformedSmtp, well, { greeted: true });
});

it.each(Object.entries(marketplace.brokerUrls))("no message ends %s", async (service, own) => {
  const before = await processes();
  const chance = new SeededRandom(`${SEED} messages of ${service}`);
  await sendMalformedMessages(chance, service, { admin: marketplace.amqpUrl, own }, LETTERS);
  for (const at of marketplace.rpc[service] ?? []) expect(await isServing(at)).toBe(true);
  expect(await processes()).toEqual(before);
});
