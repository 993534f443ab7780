import { rm } from "node:fs/promises";
import { setTimeout as passing } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { AccountService } from "@ticketing/proto/auth/v1/account_service";
import { OrderStatus } from "@ticketing/proto/orders/v1/order";
import { connect, type Channel } from "amqplib";
import { mongo as driver } from "mongoose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "#stack/process";
import { services, type System } from "#stack/launcher";
import { openPartProxies, partFaults } from "./faults/part-faults.ts";
import { startMarketplace } from "./testing/marketplace.ts";
import {
  buy,
  clients,
  listTicket,
  pay,
  signUp,
  transportTo,
  type Person,
} from "./testing/person.ts";

// Each part that the services need is away, slow, forgetful, full, or knows us no longer, while people go
// on. No good event is among the dead or costs a try, nobody is signed out, every call is answered soon,
// and all is as before soon after the end. AWAY_SECONDS makes the outages longer.

const AWAY_MS = Number(process.env["AWAY_SECONDS"] ?? 3) * 1000;
const AS_BEFORE_MS = 10_000;
/** What a call may take where what it needs hangs: its limit at the edge, and the caller's own. */
const ANSWERED_MS = 15_000;
/** Until the one who asked knows: those limits, and the time in which a busy machine keeps them. */
const KNOWN_MS = ANSWERED_MS + 2_000;

const ways = openPartProxies();
let dir: string;
let system: System;
let seller: Person;
let database: driver.MongoClient;
let queues: Channel;
let closeQueues: () => Promise<void>;

beforeAll(async () => {
  ({ dir, system } = await startMarketplace("away", { instances: 1, via: ways.via }));
  const { mongo, rabbit } = system.parts;
  database = await new driver.MongoClient(mongo!.adminUrl).connect();
  const connection = await connect(rabbit!.adminUrl);
  queues = await connection.createChannel();
  closeQueues = () => connection.close();
  seller = await signUp(system.url, "seller");
});
afterAll(async () => {
  // Whatever of it was there already, where the start has failed.
  await database?.close();
  await closeQueues?.();
  await system?.stop();
  await ways?.close();
  await rm(dir, { recursive: true, force: true, maxRetries: 3 });
});

/** What may be said of a call where something that it needs is not as it should be. */
const honest = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
  Code.Aborted,
]);

/** Uses all of it, as people do who do not wait for long, until it is told to end. */
async function goOn(during: () => Promise<void>) {
  const person = await signUp(system.url, "busy");
  const transport = transportTo(system.url, person.token);
  const impatient = clients(transport);
  const accounts = createClient(AccountService, transport);
  const wrong: string[] = [];
  let longestMs = 0;
  let over = false;
  let { refreshToken } = person;

  async function call<T>(what: string, work: Promise<T>): Promise<T | undefined> {
    const begun = performance.now();
    try {
      return await work;
    } catch (error) {
      const { code, message } = ConnectError.from(error);
      if (!honest.has(code)) wrong.push(`${what}: ${message}`);
      return undefined;
    } finally {
      longestMs = Math.max(longestMs, performance.now() - begun);
    }
  }
  const timed = { timeoutMs: ANSWERED_MS };
  const loops = [
    async () => {
      const price = { currencyCode: "EUR", units: 25n, nanos: 500_000_000 };
      const listed = await call(
        "list",
        impatient.tickets.createTicket({ title: "A", price }, timed),
      );
      await call("look", impatient.tickets.listTickets({}, timed));
      const id = listed?.ticket?.id;
      if (id) await call("edit", impatient.tickets.updateTicket({ id, title: "B", price }, timed));
    },
    () => call("orders", impatient.orders.listOrders({}, timed)),
    async () => {
      const renewed = await call("renew", impatient.auth.refreshSession({ refreshToken }, timed));
      refreshToken = renewed?.tokens?.refreshToken ?? refreshToken;
    },
    () => call("forgotten", accounts.requestPasswordReset({ email: person.email }, timed)),
  ].map(async (work) => {
    while (!over) {
      await work();
      await passing(50);
    }
  });
  await during().finally(() => (over = true));
  await Promise.all(loops);
  return { wrong, longestMs, refreshToken };
}

/** A whole purchase, and a new account whose mail arrives. */
async function everythingWorks(): Promise<void> {
  const [buyer, ticket] = await Promise.all([signUp(system.url, "buyer"), listTicket(seller)]);
  const order = await buy(buyer, ticket);
  await pay(buyer, order);
  const completed = async () =>
    (await buyer.orders.getOrder({ id: order.id })).order?.status === OrderStatus.COMPLETED;
  await until(completed, { what: "the order to be completed", timeoutMs: 30_000, everyMs: 50 });
  const arrived = async () => {
    const mails = await (await fetch(`${system.mailbox}/mails`)).json();
    return (mails as { to: string[] }[]).some(({ to }) => to.includes(buyer.email));
  };
  await until(arrived, { what: "the mail to arrive", timeoutMs: 30_000, everyMs: 50 });
  let { refreshToken } = buyer;
  // Each limit waits for half a second where Redis does not answer.
  const isCounted = async () => {
    const begun = performance.now();
    const { tokens } = await buyer.auth.refreshSession({ refreshToken });
    refreshToken = tokens?.refreshToken ?? "";
    return performance.now() - begun < 500;
  };
  await until(isCounted, { what: "Redis to count again", timeoutMs: 30_000, everyMs: 50 });
}

/** What is left in all queues and outboxes. */
async function left(): Promise<string[]> {
  const names = services.flatMap((name) => [name, `${name}.dead`]);
  const counts = await Promise.all(names.map((name) => queues.checkQueue(name)));
  const messages = counts.flatMap(({ queue, messageCount }) => (messageCount ? [queue] : []));
  const outboxes = await Promise.all(
    ["auth.users", "tickets.tickets", "orders.orders", "payments.payments"].map(async (name) => {
      const [db, collection] = name.split(".") as [string, string];
      const waiting = { "outbox._id": { $exists: true } };
      return (await database.db(db).collection(collection).countDocuments(waiting)) ? [name] : [];
    }),
  );
  return [...messages, ...outboxes.flat()];
}

/** How often events were tried again, or given up, since the start. */
async function tries(): Promise<number> {
  const counts = Object.values(system.instances)
    .flat()
    .map(async ({ http }) => {
      const said = await (await fetch(`http://${http}/metrics`)).text();
      const lines = said.match(/^ticketing_events_total\{.*outcome="(?:retried|dead)".*$/gm) ?? [];
      return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
    });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

describe("people go on, and all is as before soon after, where", () => {
  it.each(partFaults(() => ({ system, database, ways })))("%s", async (_, begin, end) => {
    const before = await tries();
    let ended = 0;
    const { wrong, longestMs, refreshToken } = await goOn(async () => {
      try {
        await begin();
        await passing(AWAY_MS);
      } finally {
        await end();
        ended = performance.now();
      }
    });
    await everythingWorks();
    const tookMs = performance.now() - ended;
    console.log(`longest call ${longestMs.toFixed(0)} ms; as before after ${tookMs.toFixed(0)} ms`);
    await until(async () => (await left()).length === 0, { what: "nothing to be left" }).catch(
      async () => expect(await left()).toEqual([]),
    );
    expect(wrong).toEqual([]);
    expect(await tries()).toBe(before);
    const { auth } = clients(transportTo(system.url));
    expect((await auth.refreshSession({ refreshToken })).tokens).toBeDefined();
    expect(tookMs).toBeLessThan(AS_BEFORE_MS);
    expect(longestMs).toBeLessThan(KNOWN_MS);
  });
});
