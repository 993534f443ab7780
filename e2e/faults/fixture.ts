import { rm } from "node:fs/promises";
import { setTimeout as passing } from "node:timers/promises";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Order } from "@ticketing/proto/orders/v1/order";
import type { Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { expect } from "vitest";
import { until } from "#stack/process";
import type { ServiceName } from "#stack/launcher";
import { startMarketplace } from "../testing/marketplace.ts";
import {
  buy,
  clients,
  holdEndOf,
  listTicket,
  pay,
  signUp,
  transportTo,
  type Person,
} from "../testing/person.ts";
import { toRpcError } from "../testing/rpc-error.ts";
import { readStoredState, violationsIn } from "./checker.ts";
import { openMutingProxy, type MutingProxy } from "./muting-proxy.ts";
import { createNemesis } from "./nemesis.ts";

// A marketplace with two of each service, people who do not give up, and what can happen to it.

/** How calls ended that had to be made again, and how often. */
export type Failures = Map<string, number>;

/** What may be otherwise in a moment; while news is held up, a thing may seem not to be there. */
const later = new Set([Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.NotFound]);

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

const reasonOf = (error: unknown): string => {
  const { reason, code, message } = toRpcError(error);
  return reason ?? `${code}: ${message}`;
};

export type FaultsFixture = Awaited<ReturnType<typeof startFaultsFixture>>;

interface Options {
  seed: number;
  /** So many people buy at once. */
  buyers: number;
  /** When people answer their bank: at the earliest and at the latest, after the end of the hold. */
  answeredMs: readonly [number, number];
  env: Record<string, string>;
}

export async function startFaultsFixture(options: Options) {
  const random = seeded(options.seed);
  const lines = new Map<ServiceName, MutingProxy>();
  const { dir, system } = await startMarketplace("faults", {
    instances: 2,
    env: options.env,
    async via(part, url, service) {
      if (part !== "broker") return url;
      const address = new URL(url);
      const line = await openMutingProxy(Number(address.port));
      lines.set(service, line);
      address.port = String(line.port);
      return address.href;
    },
  });

  const failures: Failures = new Map();
  /** What has become of purchases, as their buyers were told. */
  const outcomes: Record<string, number> = {};
  const told = (outcome: string): void => void (outcomes[outcome] = (outcomes[outcome] ?? 0) + 1);
  /** Orders that a buyer was told of: none of them may be forgotten. */
  const acknowledged = new Set<string>();

  /** Makes a call again until it is answered; its request id keeps it one and the same. */
  const stubborn: Interceptor = (next) => async (req) => {
    const deadline = Date.now() + 60_000;
    for (;;) {
      try {
        return await next(req);
      } catch (error) {
        const { code } = ConnectError.from(error);
        if (!later.has(code) || Date.now() > deadline) throw error;
        failures.set(Code[code], (failures.get(Code[code]) ?? 0) + 1);
        await passing(200 + random() * 400);
      }
    }
  };

  async function newcomer(name: string): Promise<Person> {
    // All of them come at once, to services that have just started.
    const signedUp = () => signUp(system.url, name);
    const person = await until(signedUp, { what: `${name}'s account`, timeoutMs: 60_000 });
    return { ...person, ...clients(transportTo(system.url, person.token, stubborn)) };
  }
  const names = Array.from({ length: options.buyers }, (_, i) => `buyer-${i}`);
  const people = Promise.all([newcomer("seller"), Promise.all(names.map(newcomer))]);
  // Whoever asked for a world that has nobody in it gets none to stop.
  const [seller, buyers] = await people.catch(async (error: unknown) => {
    await system.stop();
    throw error;
  });

  /** Answers the bank, with yes most of the time, as close to the end of the hold as people manage. */
  async function answerBank(page: string, order: Order): Promise<void> {
    const answer = random() < 0.8 ? "complete" : "fail";
    const [first, last] = options.answeredMs;
    const at = holdEndOf(order).getTime() + first + random() * (last - first);
    await passing(Math.max(0, at - Date.now()));
    // Stripe may be down in this very moment: the buyer reloads the page.
    const tell = async () => {
      const told = await fetch(page, {
        method: "POST",
        body: `answer=${answer}`,
        redirect: "manual",
        signal: AbortSignal.timeout(2_000),
      });
      return told.status < 500;
    };
    await until(tell, { what: "the bank's page", timeoutMs: 60_000, everyMs: 200 });
  }

  /** Buys one thing, and pays for it, or does something else that people do. */
  async function purchase(buyer: Person, ticket?: Ticket): Promise<void> {
    const fate = random();
    const order = await buy(buyer, ticket ?? (await listTicket(seller)));
    acknowledged.add(order.id);
    if (fate < 0.1) return told("left alone");
    if (fate < 0.2) {
      return told(
        await buyer.orders.cancelOrder({ id: order.id }).then(() => "cancelled", reasonOf),
      );
    }
    if (fate < 0.3) {
      return told(
        await pay(buyer, order, "tok_chargeDeclinedInsufficientFunds").then(() => "paid", reasonOf),
      );
    }
    if (fate < 0.6) {
      const asked = await pay(buyer, order, "tok_threeDSecure2Required").catch(reasonOf);
      if (typeof asked === "string") return told(asked);
      if (!asked.actionUrl) return told("not asked");
      await answerBank(asked.actionUrl, order);
      return told("asked by the bank");
    }
    // At any moment of the hold, also a little later than the last one that is allowed.
    if (fate < 0.8)
      await passing(random() * Math.max(0, holdEndOf(order).getTime() - Date.now() - 4_500));
    told(await pay(buyer, order).then(() => "paid", reasonOf));
  }

  return {
    ...{ system, random, seller, buyers, newcomer, purchase, failures, outcomes, acknowledged },
    nemesis: createNemesis({ system, lines, random }),
    /** Every buyer buys, one thing after the other, until so many purchases have been made. */
    async buyThings(count: number): Promise<void> {
      let left = count;
      await Promise.all(
        buyers.map(async (buyer) => {
          while (left-- > 0) await purchase(buyer);
        }),
      );
    },
    /** Every buyer goes on buying while `during` runs, and until so many purchases have been made. */
    async keepBuying(count: number, during: () => Promise<void>): Promise<void> {
      let over = false;
      const goOn = (): boolean => !over || acknowledged.size < count;
      const all = buyers.map(async (buyer) => {
        while (goOn()) await purchase(buyer);
      });
      await during().finally(() => (over = true));
      await Promise.all(all);
    },
    /** Waits until all agree and no order is forgotten, or fails with what is wrong. */
    async agreement(timeoutMs = 120_000): Promise<void> {
      const agreed = async () => violationsIn(await readStoredState(system)).length === 0;
      await until(agreed, { what: "agreement", timeoutMs, everyMs: 500 }).catch(() => undefined);
      const everything = await readStoredState(system);
      expect(violationsIn(everything)).toEqual([]);
      const stored = new Set(everything.orders.map(({ _id }) => _id));
      expect([...acknowledged].filter((id) => !stored.has(id))).toEqual([]);
    },
    async stop(): Promise<void> {
      for (const { child } of Object.values(system.instances).flat()) child.kill("SIGKILL");
      await system.stop();
      for (const line of lines.values()) line.close();
      if (!process.env["KEEP"]) await rm(dir, { recursive: true, force: true });
    },
  };
}
