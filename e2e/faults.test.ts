import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pass } from "node:timers/promises";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildWeb } from "#stack/build.ts";
import { until } from "#stack/process.ts";
import { startSystem, type ServiceName, type System } from "#stack/system.ts";
import { readEverything, wrongs } from "./checker.ts";
import { openLine, type Line } from "./line.ts";
import { createNemesis, type Nemesis } from "./nemesis.ts";
import { buy, clients, listTicket, pay, signUp, transportTo, type Person } from "./person.ts";
import { toRefusal } from "./refusal.ts";

// Whatever is killed, whenever: in the end everybody agrees (P4, P6, P9, P10, P24, P26, P29, P30).

const SEED = Number(process.env["SEED"] ?? 1);
const PURCHASES = 300;
/** So many at once. */
const BUYERS = 12;
const HOLD_SECONDS = 10;
const DRAIN_SECONDS = 4;

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
const random = seeded(SEED);

/** How calls ended that had to be made again, and how often. */
const failures = new Map<string, number>();

/** What may be otherwise in a moment; while news is held up, a thing may seem not to be there. */
const passing = new Set([Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.NotFound]);

/** Makes a call again until it is answered; its request id keeps it one and the same. */
const stubborn: Interceptor = (next) => async (req) => {
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      return await next(req);
    } catch (error) {
      const { code } = ConnectError.from(error);
      if (!passing.has(code) || Date.now() > deadline) throw error;
      failures.set(Code[code], (failures.get(Code[code]) ?? 0) + 1);
      await pass(50 + random() * 150);
    }
  }
};

let dir: string;
let system: System;
let nemesis: Nemesis;
const lines = new Map<ServiceName, Line>();
let seller: Person;
let buyers: Person[];

async function newcomer(name: string): Promise<Person> {
  const person = await signUp(system.url, name);
  return { ...person, ...clients(transportTo(system.url, person.token, stubborn)) };
}

beforeAll(async () => {
  for (const name of ["MONGODB_URI", "AMQP_URI", "REDIS_URI", "STRIPE_KEY"]) {
    Reflect.deleteProperty(process.env, name);
  }
  dir = await mkdtemp(join(tmpdir(), "ticketing-faults-"));
  const said: string[] = [];
  await buildWeb((line) => said.push(line));
  system = await startSystem({
    dir,
    test: true,
    instances: 2,
    env: {
      ORDER_HOLD_SECONDS: String(HOLD_SECONDS),
      ORDER_SWEEP_SECONDS: "2",
      MAX_OPEN_ORDERS: "1000",
      ATTEMPTS_PER_ACCOUNT: "100000",
      ATTEMPTS_PER_ADDRESS: "100000",
      SHUTDOWN_DRAIN_SECONDS: String(DRAIN_SECONDS),
    },
    async toBroker(service, url) {
      const address = new URL(url);
      const line = await openLine(Number(address.port));
      lines.set(service, line);
      address.port = String(line.port);
      return address.href;
    },
    log: (line) => said.push(line),
  }).catch((error: unknown) => {
    throw new Error(`the marketplace did not start:\n${said.join("\n")}`, { cause: error });
  });
  nemesis = createNemesis({ system, lines, random });
  seller = await newcomer("seller");
  buyers = await Promise.all(Array.from({ length: BUYERS }, (_, i) => newcomer(`buyer-${i}`)));
});

afterAll(async () => {
  for (const service of Object.values(system.instances).flat()) service.child.kill("SIGKILL");
  await system.stop();
  for (const line of lines.values()) line.close();
  if (!process.env["KEEP"]) await rm(dir, { recursive: true, force: true });
});

/** What has become of purchases, as their buyers were told. */
const outcomes: Record<string, number> = {};
const told = (outcome: string): void => void (outcomes[outcome] = (outcomes[outcome] ?? 0) + 1);
/** Orders that a buyer was told of: none of them may be forgotten. */
const acknowledged = new Set<string>();

async function purchase(buyer: Person): Promise<void> {
  const fate = random();
  const order = await buy(buyer, await listTicket(seller));
  acknowledged.add(order.id);
  if (fate < 0.2) return told("left alone");
  if (fate < 0.3) {
    return told(await buyer.orders.cancelOrder({ id: order.id }).then(() => "cancelled", reasonOf));
  }
  const token = fate < 0.4 ? "tok_chargeDeclinedInsufficientFunds" : "tok_visa";
  told(await pay(buyer, order, token).then(() => "paid", reasonOf));
}

const reasonOf = (error: unknown): string => {
  const { reason, code, message } = toRefusal(error);
  return reason ?? `${code}: ${message}`;
};

/** Every buyer buys, one thing after the other, until so many purchases have been made. */
async function buyThings(count: number): Promise<void> {
  let left = count;
  await Promise.all(
    buyers.map(async (buyer) => {
      while (left-- > 0) await purchase(buyer);
    }),
  );
}

/** Waits until nothing is wrong any more, or says what still is. */
async function agreement(timeoutMs: number): Promise<void> {
  const agreed = async () => wrongs(await readEverything(system)).length === 0;
  await until(agreed, { what: "agreement", timeoutMs, everyMs: 500 }).catch(() => undefined);
  expect(wrongs(await readEverything(system))).toEqual([]);
}

it(
  `${PURCHASES} purchases end well, while everything is killed (seed ${SEED})`,
  { timeout: 400_000 },
  async () => {
    const begun = performance.now();
    const steps: [string, () => Promise<unknown>][] = [
      ["orders, unheard", () => nemesis.killUnheard("orders")],
      ["tickets, unheard", () => nemesis.killUnheard("tickets")],
      ["broker", () => nemesis.killBroker()],
      ["payments, unheard", () => nemesis.killUnheard("payments")],
      ["expiration, unheard", () => nemesis.killUnheard("expiration")],
      [
        "auth, unheard",
        () => {
          const joining = newcomer("late").catch(() => undefined);
          return nemesis.killUnheard("auth").then(() => joining);
        },
      ],
      ["database, frozen for 10 s", () => nemesis.freezeDatabase(10_000)],
      ["database, killed", () => nemesis.killDatabase()],
      ["anything", () => nemesis.killAtRandom(4)],
    ];
    for (const [what, happen] of steps) {
      const from = performance.now();
      await Promise.all([buyThings(Math.ceil(PURCHASES / steps.length)), happen()]);
      console.log(`${what}: ${((performance.now() - from) / 1000).toFixed(1)} s`);
    }
    const killed = performance.now();
    await agreement(60_000);
    const agreed = performance.now();
    console.log(outcomes, Object.fromEntries(failures));
    console.log(
      `${acknowledged.size} orders; ${((killed - begun) / 1000).toFixed(1)} s of faults, ` +
        `${((agreed - killed) / 1000).toFixed(1)} s until all agreed`,
    );
    const { orders } = await readEverything(system);
    const stored = new Set(orders.map(({ _id }) => _id));
    expect([...acknowledged].filter((id) => !stored.has(id))).toEqual([]);
    expect(outcomes["paid"]).toBeGreaterThan(PURCHASES / 4);
  },
);

/** Resolves when the edge sends calls to every instance. */
const edgeKnowsAll = () =>
  until(
    async () => {
      const answer = await fetch(`${system.edge.adminUrl}/clusters`);
      return !(await answer.text()).includes("failed_active_hc");
    },
    { what: "the edge to know all instances" },
  );

it(
  "restarts every service under load, and no call fails but as UNAVAILABLE (P30)",
  { timeout: 400_000 },
  async () => {
    await edgeKnowsAll();
    failures.clear();
    acknowledged.clear();
    let rolling = true;
    let calls = 0;
    const load = Promise.all(
      buyers.slice(0, 6).map(async (buyer) => {
        while (rolling) {
          await Promise.all([
            buyer.auth.getCurrentUser({}),
            buyer.tickets.listTickets({}),
            buyer.orders.listOrders({}),
            purchase(buyer),
          ]);
          calls += 6;
        }
      }),
    );
    const ends: string[] = [];
    for (const n of [0, 1]) {
      await Promise.all(
        Object.values(system.instances).map(async (instances) => {
          const instance = instances[n];
          if (!instance) throw new Error("there are to be two of each");
          const { child } = instance;
          await child.stop(30_000);
          ends.push(await child.exited);
          await instance.restart();
        }),
      );
      await edgeKnowsAll();
    }
    rolling = false;
    await load;
    console.log(`${calls} calls, of which again: ${JSON.stringify(Object.fromEntries(failures))}`);
    expect(new Set(ends)).toEqual(new Set(["code 0"]));
    expect([...failures.keys()].filter((code) => code !== "Unavailable")).toEqual([]);
    await agreement(60_000);
    const stored = new Set((await readEverything(system)).orders.map(({ _id }) => _id));
    expect([...acknowledged].filter((id) => !stored.has(id))).toEqual([]);
  },
);
