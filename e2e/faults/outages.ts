import { rm } from "node:fs/promises";
import { setTimeout as passing } from "node:timers/promises";
import { OrderStatus } from "@ticketing/proto/orders/v1/order";
import { connect, type Channel } from "amqplib";
import { mongo as driver } from "mongoose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "#stack/process";
import { services, type System } from "#stack/launcher";
import { startMarketplace } from "../testing/marketplace.ts";
import {
  buy,
  clients,
  listTicket,
  pay,
  signUp,
  transportTo,
  type Person,
} from "../testing/person.ts";
import { THOROUGH } from "../testing/thoroughness.ts";
import { withTraffic } from "./outage-traffic.ts";
import type { FaultTarget, PartFault } from "./part-faults.ts";
import { openPartProxies } from "./part-proxies.ts";

// The tests that store-outages.test.ts and messaging-outages.test.ts run, each in a marketplace of its
// own: two halves that run side by side.

const OUTAGE_MS = THOROUGH ? 45_000 : 3_000;
const RECOVERY_LIMIT_MS = 10_000;
/** The longest that a call may take while a dependency hangs: the limit of the edge, and of the client. */
const CALL_TIMEOUT_MS = 15_000;
/** Until the client knows: the timeout, and the time in which a busy machine reports it. */
const CALL_LIMIT_MS = CALL_TIMEOUT_MS + 2_000;

const proxies = openPartProxies();
let dir: string;
let system: System;
let seller: Person;
let database: driver.MongoClient;
let queues: Channel;
let closeQueues: () => Promise<void>;

async function start(): Promise<void> {
  ({ dir, system } = await startMarketplace("outage", { instances: 1, via: proxies.via }));
  const { mongo, rabbit } = system.parts;
  database = await new driver.MongoClient(mongo!.adminUrl).connect();
  const connection = await connect(rabbit!.adminUrl);
  queues = await connection.createChannel();
  closeQueues = () => connection.close();
  seller = await signUp(system.url, "seller");
}

/** Stops what has started, also after a start that failed. */
async function stop(): Promise<void> {
  await database?.close();
  await closeQueues?.();
  await system?.stop();
  await proxies?.close();
  await rm(dir, { recursive: true, force: true, maxRetries: 3 });
}

/** Waits until a purchase, the mail of a new account and the rate limits work. */
async function expectRecovery(): Promise<void> {
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
  // Each rate limit waits for half a second where Redis does not respond.
  const isCounted = async () => {
    const startedAt = performance.now();
    const { tokens } = await buyer.auth.refreshSession({ refreshToken });
    refreshToken = tokens?.refreshToken ?? "";
    return performance.now() - startedAt < 500;
  };
  await until(isCounted, { what: "Redis to count again", timeoutMs: 30_000, everyMs: 50 });
}

/** The queues and outboxes that are not empty. */
async function nonEmpty(): Promise<string[]> {
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

/** The number of event deliveries that were retried or dead-lettered since the start. */
async function failedDeliveries(): Promise<number> {
  const counts = Object.values(system.instances)
    .flat()
    .map(async ({ http }) => {
      const metrics = await (await fetch(`http://${http}/metrics`)).text();
      const lines =
        metrics.match(/^ticketing_events_total\{.*outcome="(?:retried|dead)".*$/gm) ?? [];
      return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
    });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** Runs the test of an outage for each fault. */
export function testOutages(faultsOf: (target: () => FaultTarget) => PartFault[]): void {
  beforeAll(start);
  afterAll(stop);

  describe("the marketplace keeps working, and recovers within seconds, when", () => {
    it.each(faultsOf(() => ({ system, database, proxies })))("%s", async (_, begin, end) => {
      const failedBefore = await failedDeliveries();
      let endedAt = 0;
      const { unexpected, longestMs, refreshToken } = await withTraffic(
        system.url,
        CALL_TIMEOUT_MS,
        async () => {
          try {
            await begin();
            await passing(OUTAGE_MS);
          } finally {
            await end();
            endedAt = performance.now();
          }
        },
      );
      await expectRecovery();
      const recoveryMs = performance.now() - endedAt;
      console.log(
        `longest call ${longestMs.toFixed(0)} ms; recovered after ${recoveryMs.toFixed(0)} ms`,
      );
      await until(async () => (await nonEmpty()).length === 0, {
        what: "nothing to be left",
      }).catch(async () => expect(await nonEmpty()).toEqual([]));
      expect(unexpected).toEqual([]);
      expect(await failedDeliveries()).toBe(failedBefore);
      const { auth } = clients(transportTo(system.url));
      expect((await auth.refreshSession({ refreshToken })).tokens).toBeDefined();
      expect(recoveryMs).toBeLessThan(RECOVERY_LIMIT_MS);
      expect(longestMs).toBeLessThan(CALL_LIMIT_MS);
    });
  });
}
