import { setTimeout as pass } from "node:timers/promises";
import { until } from "#stack/process";
import { type ServiceName, services, type System } from "#stack/launcher";
import type { MutingProxy } from "./muting-proxy.ts";

/** What may happen to a system: each ends when everything is running again. */
export interface Nemesis {
  /**
   * Kills every instance of a service in the worst moment: it has handled events and saved changes,
   * and the broker has heard of none of that, neither of an acknowledgement nor of an event.
   */
  killBeforeConfirmation(service: ServiceName): Promise<void>;
  /** Kills single instances, each at a random moment. */
  killAtRandom(times: number): Promise<void>;
  killBroker(): Promise<void>;
  /** It ends its connections itself, in order, and without an error. */
  restartBroker(): Promise<void>;
  /** The broker does not answer, and its connections stay open, until it is killed. */
  freezeBroker(): void;
  /** The broker is short of memory, and takes nothing, while `during` runs. */
  exhaustBrokerMemory(during: () => Promise<void>): Promise<void>;
  /** Does not answer for so long, and goes on as if nothing had been. */
  freezeDatabase(ms: number): Promise<void>;
  killDatabase(): Promise<void>;
  /** Kills the local Stripe, in the middle of whatever it does. */
  killStripe(): Promise<void>;
  /** Stripe does not answer for so long, and goes on as if nothing had been. */
  freezeStripe(ms: number): Promise<void>;
  /** The next of Stripe's answers come late, not at all, or as faults of its own. */
  injectStripeFaults(times: number): Promise<void>;
  /** Stripe's webhooks come twice, late and in any order while `during` runs, or not before its end. */
  disorderWebhooks(during: () => Promise<void>): Promise<void>;
  /** Kills everything but the edge at once, and starts all of it again, in any order. */
  killEverything(): Promise<void>;
}

interface Options {
  system: System;
  /** Each service's line to the broker. */
  lines: ReadonlyMap<ServiceName, MutingProxy>;
  /** A number from 0 up to 1, the same ones at every run. */
  random: () => number;
}

export function createNemesis({ system, lines, random }: Options): Nemesis {
  const { parts, instances } = system;
  const { mongo, rabbit, redis } = parts;
  const { process: stripe, url: stripeUrl } = system.stripe;
  if (!mongo || !rabbit || !redis || !stripe)
    throw new Error("only a system with parts of its own can be harmed");

  async function turnStripe(method: string, path: string, body?: object): Promise<void> {
    const answer = await fetch(`${stripeUrl}/_test/${path}`, {
      method,
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(await answer.text());
  }

  async function crash(service: ServiceName, which = instances[service]): Promise<void> {
    for (const { child } of which) child.kill("SIGKILL");
    await Promise.all(which.map(({ child }) => child.exited));
  }

  return {
    async killBeforeConfirmation(service) {
      const line = lines.get(service);
      if (!line) throw new Error(`no line to ${service}`);
      line.mute();
      // The name of one of our exchanges: something is being published.
      const publishes = (): boolean => line.pending().includes("ticketing.");
      await until(publishes, { what: `${service} to publish`, timeoutMs: 60_000 });
      await crash(service);
      line.unmute();
      await Promise.all(instances[service].map((instance) => instance.restart()));
    },
    async killAtRandom(times) {
      for (let i = 0; i < times; i += 1) {
        const service = services[Math.floor(random() * services.length)] ?? "orders";
        const instance = instances[service][Math.floor(random() * instances[service].length)];
        if (!instance) throw new Error(`no instance of ${service}`);
        await pass(random() * 300);
        await crash(service, [instance]);
        await instance.restart();
      }
    },
    async killBroker() {
      rabbit.kill("SIGKILL");
      await rabbit.child.exited;
      await rabbit.restart();
    },
    async restartBroker() {
      await rabbit.restart();
    },
    freezeBroker() {
      rabbit.kill("SIGSTOP");
    },
    async exhaustBrokerMemory(during) {
      await rabbit.control("set_vm_memory_high_watermark", "absolute", "1");
      try {
        await during();
      } finally {
        await rabbit.control("set_vm_memory_high_watermark", "absolute", "512MB");
      }
    },
    async freezeDatabase(ms) {
      mongo.kill("SIGSTOP");
      await pass(ms);
      mongo.kill("SIGCONT");
    },
    async killDatabase() {
      mongo.kill("SIGKILL");
      await mongo.child.exited;
      await mongo.restart();
    },
    async killStripe() {
      stripe.child.kill("SIGKILL");
      await stripe.child.exited;
      await stripe.restart();
    },
    async freezeStripe(ms) {
      stripe.child.kill("SIGSTOP");
      await pass(ms);
      stripe.child.kill("SIGCONT");
    },
    async injectStripeFaults(times) {
      const troubles = [
        { drop: true },
        { fail: 500 },
        { fail: 500, late: true },
        { fail: 429 },
        { slow: 3_000 },
        { slow: 9_000 },
      ];
      for (let i = 0; i < times; i += 1) {
        const trouble = troubles[Math.floor(random() * troubles.length)];
        await turnStripe("POST", "faults", { path: "/v1/payment_intents", ...trouble });
      }
    },
    async disorderWebhooks(during) {
      const late = random() < 0.5;
      const mess = late ? { duplicate: true, shuffle: true, delay: 4_000 } : { off: true };
      await turnStripe("PUT", "webhooks", mess);
      try {
        await during();
      } finally {
        await turnStripe("PUT", "webhooks", {});
      }
    },
    async killEverything() {
      const stores = [mongo, rabbit, redis];
      for (const store of stores) store.kill("SIGKILL");
      stripe.child.kill("SIGKILL");
      await Promise.all(services.map((service) => crash(service)));
      await Promise.all([...stores, stripe].map(({ child }) => child.exited));
      const begin = async (one: { restart(): Promise<void> }): Promise<void> => {
        await pass(random() * 3_000);
        await one.restart();
      };
      await Promise.all([...stores, stripe, ...Object.values(instances).flat()].map(begin));
    },
  };
}
