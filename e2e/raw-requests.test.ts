import { expect, inject, it } from "vitest";
import { services } from "#marketplace/catalogue.ts";
import { Chance } from "./raw/chance.ts";
import { answers, serves, takesMail } from "./raw/health.ts";
import { oddRequest } from "./raw/http1.ts";
import { oddFrames } from "./raw/http2.ts";
import { sendGarbage } from "./raw/letters.ts";
import { oddMail } from "./raw/smtp.ts";
import { talk, together } from "./raw/talk.ts";
import { until } from "#stack/process";
import "./setup.ts"; // For the type of what it provides.

// P54: malformed input ends no process.

const SEED = process.env["SEED"] ?? String(Date.now() % 1_000_000);
console.log(`raw requests: SEED=${SEED}`);

const REQUESTS = 80;
const LETTERS = 25;
const AT_ONCE = 10;

const place = inject("place");
const hostOf = (url: string): string => new URL(url).host;

const processes = async (): Promise<unknown> =>
  (await fetch(`${place.control}/processes`)).json() as unknown;

type Make = (chance: Chance) => Buffer[];

/** Throws such requests at an address; then each process must be the one that it was, and well. */
async function bombard(
  name: string,
  address: string,
  make: Make,
  well: () => Promise<boolean>,
  { greeted = false } = {},
): Promise<void> {
  const before = await processes();
  const chance = new Chance(`${SEED} ${name}`);
  const works = Array.from({ length: REQUESTS }, () => {
    const pieces = make(chance);
    const how = {
      half: chance.once(3),
      reset: chance.once(3),
      greeted: greeted && !chance.once(9),
    };
    return () => talk(address, pieces, how);
  });
  await together(AT_ONCE, works);
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
const stripeKey = `authorization: Bearer ${place.stripeKey}\r\n`;

const ports = (of: Record<string, string[]>): [string, string][] =>
  Object.entries(of).flatMap(([name, list]) => list.map((at): [string, string] => [name, at]));

it.each(ports(place.rpc))("no raw request ends %s, on its RPC port %s", async (name, at) => {
  const make: Make = (chance) =>
    chance.once(8) ? oddRequest(chance, rpcPaths) : oddFrames(chance, rpcPaths);
  await bombard(`${name} rpc`, at, make, () => serves(at));
});

it.each(ports(place.http))("no raw request ends %s, on its plain port %s", async (name, at) => {
  const make: Make = (chance) =>
    chance.once(12) ? oddFrames(chance, plainPaths) : oddRequest(chance, plainPaths);
  await bombard(`${name} http`, at, make, () => answers(`http://${at}/healthz`));
});

it("no raw request ends anything through the edge, in both of its protocols", async () => {
  const known = [...pages, ...restPaths, ...rpcPaths, "/webhooks/stripe"];
  const make: Make = (chance) =>
    chance.once(2) ? oddFrames(chance, known) : oddRequest(chance, known);
  const well = async (): Promise<boolean> =>
    (await answers(`${place.url}/api/tickets`)) && answers(`${place.url}/`);
  await bombard("the edge", hostOf(place.url), make, well);
});

it.each([
  ["the storefront", place.webUrl, pages, "/healthz", ""],
  ["the local Stripe", place.stripeUrl, stripePaths, "/v1/events", stripeKey],
  ["the mailbox", place.mailboxUrl, ["/", "/mails"], "/mails", ""],
])("no raw request ends %s", async (name, url, known, path, more) => {
  const make: Make = (chance) => oddRequest(chance, known, more);
  const any = name === "the local Stripe"; // Without its key, its answer is a refusal.
  await bombard(name, hostOf(url), make, () => answers(url + path, { any }));
});

it("no mail ends the mailbox", async () => {
  const at = hostOf(place.smtpUrl);
  const well = async () => (await takesMail(at)) && answers(`${place.mailboxUrl}/mails`);
  await bombard("mails", at, oddMail, well, { greeted: true });
});

it.each(Object.entries(place.brokerUrls))("no message ends %s", async (service, own) => {
  const before = await processes();
  const chance = new Chance(`${SEED} messages of ${service}`);
  await sendGarbage(chance, service, { admin: place.amqpUrl, own }, LETTERS);
  for (const at of place.rpc[service] ?? []) expect(await serves(at)).toBe(true);
  expect(await processes()).toEqual(before);
});
