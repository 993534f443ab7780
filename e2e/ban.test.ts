import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as passing } from "node:timers/promises";
import { promisify } from "node:util";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { UserService } from "@ticketing/proto/auth/v1/user_service";
import { CancelReason, OrderStatus } from "@ticketing/proto/orders/v1/order";
import { TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import { createClient as createRedis } from "redis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "#stack/process";
import type { System } from "#stack/launcher";
import { startMarketplace } from "./testing/marketplace.ts";
import {
  anonymous,
  buy,
  clients,
  fetchOrder,
  fetchTicket,
  listTicket,
  pay,
  signIn,
  signUp,
  transportTo,
} from "./testing/person.ts";
import { errorOf, toRpcError } from "./testing/rpc-error.ts";

// Bans in a marketplace with two instances of each service. The order of the tests matters: the last
// ones kill processes.

const BANS = 30;
const GOAL_MS = 250;
const services = ["auth", "tickets", "orders", "payments"] as const;

let dir: string;
let system: System;
let admin: ReturnType<typeof createClient<typeof UserService>>;

const ban = (userId: string, endsInMs?: number) =>
  admin.banUser({
    userId,
    reason: "forged tickets",
    ...(endsInMs !== undefined && { endsAt: timestampFromMs(Date.now() + endsInMs) }),
  });

/** Calls one instance directly with a token; returns the reason of the error, or "served". */
function probe(service: (typeof services)[number], n: number, token: string): Promise<string> {
  const calls = clients(direct(service, n));
  const options = { headers: { authorization: `Bearer ${token}` } };
  const call = {
    auth: () => calls.auth.getCurrentUser({}, options),
    tickets: () => calls.tickets.listTickets({}, options),
    orders: () => calls.orders.listOrders({}, options),
    payments: () => calls.payments.getPayment({ orderId: crypto.randomUUID() }, options),
  }[service];
  return call().then(
    () => "served",
    (error: unknown) => {
      const { reason, code } = toRpcError(error);
      return reason === "PAYMENT_NOT_FOUND" ? "served" : (reason ?? code);
    },
  );
}

const transports = new Map<string, ReturnType<typeof createConnectTransport>>();
function direct(service: (typeof services)[number], n: number) {
  const baseUrl = `http://${system.instances[service][n]!.rpc}`;
  const existing = transports.get(baseUrl);
  if (existing) return existing;
  const transport = createConnectTransport({ baseUrl, httpVersion: "2" });
  transports.set(baseUrl, transport);
  return transport;
}

const instances = services.flatMap((service) => [0, 1].map((n) => [service, n] as const));

const probeAll = (token: string): Promise<string[]> =>
  Promise.all(
    instances.map(async ([service, n]) => `${service} ${await probe(service, n, token)}`),
  );
const allInstances = (result: string): string[] =>
  instances.map(([service]) => `${service} ${result}`);

const bannedEverywhere = (token: string) =>
  until(async () => (await probeAll(token)).every((result) => result.endsWith("BANNED")), {
    what: "the ban to be known everywhere",
    timeoutMs: 10_000,
    everyMs: 20,
  });

async function crash(service: (typeof services)[number], n: number): Promise<void> {
  const instance = system.instances[service][n]!;
  instance.child.kill("SIGKILL");
  await instance.restart();
}

beforeAll(async () => {
  ({ dir, system } = await startMarketplace("ban", {
    instances: 2,
    env: { CALL_TIMEOUT_SECONDS: "60" }, // A busy machine is slow, which is not a failure.
  }));

  const administrator = await signUp(system.url, "administrator");
  const command = join(import.meta.dirname, "../services/auth/administrator.ts");
  const env = { ...process.env, MONGODB_URI: system.parts.mongoUrl("auth") };
  const { stdout } = await promisify(execFile)(process.execPath, [command, administrator.email], {
    env,
  });
  expect(stdout).toContain("is an administrator now. Ended 1 session:");
  const { accessToken } = await signIn(system.url, administrator);
  admin = createClient(UserService, transportTo(system.url, accessToken));
}, 180_000);

afterAll(async () => {
  for (const { child } of Object.values(system.instances).flat()) child.kill("SIGKILL");
  await system.stop();
  await rm(dir, { recursive: true, force: true });
});

it("removes listings from the lists and cancels open orders; once it is lifted, the listings are back", async () => {
  const [seller, buyer] = await Promise.all([
    signUp(system.url, "seller"),
    signUp(system.url, "buyer"),
  ]);
  const [listed, held, withdrawn] = [
    await listTicket(seller),
    await listTicket(seller),
    await listTicket(seller),
  ];
  await seller.tickets.deleteTicket({ id: withdrawn.id });
  const order = await buy(buyer, held);
  const status = async (ticket: { id: string }) => (await fetchTicket(buyer, ticket)).status;
  const inLists = async () =>
    (await anonymous(system.url).tickets.listTickets({ sellerId: seller.id })).tickets
      .map(({ id }) => id)
      .toSorted();

  await ban(seller.id);
  await until(async () => (await inLists()).length === 0, { what: "empty lists" });
  await until(async () => (await fetchOrder(buyer, order)).cancelReason === CancelReason.BANNED, {
    what: "the order to be cancelled",
  });
  await until(async () => (await status(held)) === TicketStatus.WITHDRAWN, {
    what: "both to be withdrawn",
  });
  expect(await errorOf(buy(buyer, { ...listed, version: 0n }))).toMatchObject({
    reason: "TICKET_WITHDRAWN",
  });

  await admin.unbanUser({ userId: seller.id });
  const back = [listed.id, held.id].toSorted();
  await until(async () => (await inLists()).join() === back.join(), { what: "them to be back" });
  expect(await status(withdrawn)).toBe(TicketStatus.WITHDRAWN);
  await until(async () => (await probe("tickets", 0, seller.token)) === "served", {
    what: "the seller to be served",
  });
});

it(`applies at every instance of every service, and p99 of ${BANS} bans is printed (P48)`, async () => {
  const people = [];
  for (let i = 0; i < BANS; i += 1) people.push(await signUp(system.url, "bad"));
  expect(await probeAll(people[0]!.token)).toEqual(allInstances("served"));
  const times: number[] = [];
  for (const person of people) {
    await ban(person.id);
    const bannedAt = performance.now();
    const rejections = instances.map(async ([service, n]) => {
      while ((await probe(service, n, person.token)) !== "BANNED") {
        if (performance.now() - bannedAt > 20_000) throw new Error(`${service} ${n} still serves`);
        await passing(1);
      }
      times.push(performance.now() - bannedAt);
    });
    await Promise.all(rejections);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => Math.round(times[Math.ceil(times.length * share) - 1]!);
  const figures = `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`;
  console.log(
    `From the response of a ban to the first rejection, ${times.length} times: ${figures}.`,
  );
  expect(times).toHaveLength(BANS * instances.length);
  expect(at(0.99)).toBeLessThan(10 * GOAL_MS);
});

it("expires by itself if it has an end, and until then rejects sign-in and renewal", async () => {
  const person = await signUp(system.url, "banned");
  const { refreshToken } = await signIn(system.url, person);
  await ban(person.id, 3_000);
  expect(await errorOf(signIn(system.url, person))).toMatchObject({ reason: "BANNED" });
  const renewal = anonymous(system.url).auth.refreshSession({ refreshToken });
  expect((await errorOf(renewal)).reason).toMatch(/^(BANNED|SESSION_ENDED)$/);
  const { accessToken } = await until(() => signIn(system.url, person).catch(() => undefined), {
    what: "the ban to end",
    everyMs: 200,
  });
  await until(async () => (await probeAll(accessToken)).join() === allInstances("served").join(), {
    what: "them to be served everywhere",
  });
});

it("applies at an instance that starts within the lifetime of a token, also after Redis was emptied (P27)", async () => {
  const person = await signUp(system.url, "bad");
  await ban(person.id);
  await bannedEverywhere(person.token);
  await Promise.all(services.map((service) => crash(service, 0)));
  expect(await probeAll(person.token)).toEqual(allInstances("BANNED"));

  const redis = await createRedis({ url: system.parts.redisUrl }).connect();
  await redis.flushAll();
  await redis.close();
  await Promise.all(services.map((service) => crash(service, 1)));
  expect(await probeAll(person.token)).toEqual(allInstances("BANNED"));
});

it("is not lifted when Redis is killed, and reaches every instance without Redis (P49)", async () => {
  const [before, during, good] = [
    await signUp(system.url, "bad"),
    await signUp(system.url, "worse"),
    await signUp(system.url, "good"),
  ];
  await ban(before.id);
  await bannedEverywhere(before.token);
  system.parts.redis!.kill("SIGKILL");
  expect(await probeAll(before.token)).toEqual(allInstances("BANNED"));
  expect(await probeAll(good.token)).toEqual(allInstances("served"));
  await ban(during.id);
  await bannedEverywhere(during.token);
  await system.parts.redis!.restart();
  await Promise.all(services.map((service) => crash(service, 0)));
  expect(await probeAll(during.token)).toEqual(allInstances("BANNED"));
  expect(await probeAll(before.token)).toEqual(allInstances("BANNED"));
});

it("while auth is down, signed-in users can browse, buy and pay, and sign-in fails with UNAVAILABLE (P28)", async () => {
  const [seller, buyer] = [await signUp(system.url, "seller"), await signUp(system.url, "buyer")];
  for (const { child } of system.instances.auth) child.kill("SIGKILL");
  const ticket = await listTicket(seller);
  expect((await buyer.tickets.listTickets({})).tickets.length).toBeGreaterThan(0);
  const order = await buy(buyer, ticket);
  await pay(buyer, order);
  await until(async () => (await fetchOrder(buyer, order)).status === OrderStatus.COMPLETED, {
    what: "the purchase",
  });
  const attempt = anonymous(system.url).auth.signIn({
    email: "a@example.com",
    password: "password",
  });
  expect(await errorOf(attempt)).toMatchObject({ code: "Unavailable" });
});
