import { rm } from "node:fs/promises";
import { setTimeout as passing } from "node:timers/promises";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { expect } from "vitest";
import { until } from "#stack/process";
import type { System } from "#stack/launcher";
import { startMarketplace } from "../testing/marketplace.ts";
import { clients, signUp, transportTo, type Person } from "../testing/person.ts";
import { SeededRandom } from "../testing/seeded-random.ts";
import { violationsIn } from "./checker.ts";
import { viaMutingProxy, type MutingProxies } from "./muting-proxies.ts";
import { createNemesis } from "./nemesis.ts";
import { purchases, type History } from "./purchases.ts";
import { readStoredState } from "./stored-state.ts";

// A marketplace with two instances of each service, buyers who retry, and a nemesis.

/** The number of retried calls, by the code that they failed with. */
type RetryCounts = Map<string, number>;

export type FaultsFixture = Awaited<ReturnType<typeof startFaultsFixture>>;

interface Options {
  seed: number;
  /** The number of concurrent buyers. */
  buyers: number;
  /** When buyers answer their bank: the earliest and the latest time after the end of the hold. */
  bankAnswerMs: readonly [earliest: number, latest: number];
  env: Record<string, string>;
}

const RETRY_LIMIT_MS = 60_000;
const AGREEMENT_TIMEOUT_MS = 120_000;

export async function startFaultsFixture(options: Options) {
  const generator = new SeededRandom(String(options.seed));
  const random = () => generator.next();
  const brokerProxies: MutingProxies = new Map();
  const { dir, system } = await startMarketplace("faults", {
    instances: 2,
    env: options.env,
    via: async (part, url, service) =>
      part === "broker" ? viaMutingProxy(brokerProxies, service, url) : url,
  });
  const retries: RetryCounts = new Map();
  const newPerson = (name: string) => signUpWithRetries(system.url, name, retries, random);
  const names = Array.from({ length: options.buyers }, (_, i) => `buyer-${i}`);
  const [seller, buyers] = await Promise.all([
    newPerson("seller"),
    Promise.all(names.map(newPerson)),
  ]).catch(async (error: unknown) => {
    await system.stop(); // The caller gets no fixture that it could stop.
    throw error;
  });
  const history: History = { outcomes: {}, acknowledged: new Set() };
  const purchase = purchases({ seller, random, bankAnswerMs: options.bankAnswerMs }, history);

  return {
    system,
    random,
    seller,
    buyers,
    newPerson,
    purchase,
    retries,
    outcomes: history.outcomes,
    acknowledged: history.acknowledged,
    nemesis: createNemesis({ system, brokerProxies, random }),
    /** All buyers together make this many purchases. */
    async makePurchases(count: number): Promise<void> {
      let remaining = count;
      await Promise.all(
        buyers.map(async (buyer) => {
          while (remaining-- > 0) await purchase(buyer);
        }),
      );
    },
    /** Every buyer makes purchases while `during` runs, and until there are this many orders. */
    async keepBuying(count: number, during: () => Promise<void>): Promise<void> {
      let isOver = false;
      const continues = (): boolean => !isOver || history.acknowledged.size < count;
      const all = buyers.map(async (buyer) => {
        while (continues()) await purchase(buyer);
      });
      await during().finally(() => (isOver = true));
      await Promise.all(all);
    },
    expectAgreement: (timeoutMs = AGREEMENT_TIMEOUT_MS) =>
      expectAgreement(system, history, timeoutMs),
    async stop(): Promise<void> {
      for (const { child } of Object.values(system.instances).flat()) child.kill("SIGKILL");
      await system.stop();
      for (const proxy of brokerProxies.values()) proxy.close();
      if (!process.env["KEEP"]) await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Codes that may change within moments; while events are held up, a resource may be NOT_FOUND. */
const TEMPORARY_CODES = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Aborted,
  Code.NotFound,
]);

/** Retries a call until it succeeds; its request id makes the retries idempotent. */
const retryTemporaryErrors =
  (retries: RetryCounts, random: () => number): Interceptor =>
  (next) =>
  async (req) => {
    const deadline = Date.now() + RETRY_LIMIT_MS;
    for (;;) {
      try {
        return await next(req);
      } catch (error) {
        const { code } = ConnectError.from(error);
        if (!TEMPORARY_CODES.has(code) || Date.now() > deadline) throw error;
        retries.set(Code[code], (retries.get(Code[code]) ?? 0) + 1);
        await passing(200 + random() * 400);
      }
    }
  };

/** Creates an account for a user whose calls are retried. */
async function signUpWithRetries(
  url: string,
  name: string,
  retries: RetryCounts,
  random: () => number,
): Promise<Person> {
  // All accounts are created at once, by services that have just started.
  const person = await until(() => signUp(url, name), {
    what: `${name}'s account`,
    timeoutMs: RETRY_LIMIT_MS,
  });
  const transport = transportTo(url, person.token, retryTemporaryErrors(retries, random));
  return { ...person, ...clients(transport) };
}

/** Waits until every invariant holds and no acknowledged order is lost, or fails with the violations. */
async function expectAgreement(
  system: System,
  { acknowledged }: History,
  timeoutMs: number,
): Promise<void> {
  const agrees = async () => violationsIn(await readStoredState(system)).length === 0;
  await until(agrees, { what: "agreement", timeoutMs, everyMs: 500 }).catch(() => undefined);
  const state = await readStoredState(system);
  expect(violationsIn(state)).toEqual([]);
  const stored = new Set(state.orders.map(({ _id }) => _id));
  expect([...acknowledged].filter((id) => !stored.has(id))).toEqual([]);
}
