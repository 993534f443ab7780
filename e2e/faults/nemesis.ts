import { setTimeout as passing } from "node:timers/promises";
import { services, type System } from "#stack/launcher";
import type { MutingProxies } from "./muting-proxies.ts";
import { serviceCrashes, type ServiceCrashes } from "./service-crashes.ts";
import { stripeFaults, type StripeFaults } from "./stripe-faults.ts";

/** Injects faults into a system. Each method resolves when everything runs again. */
export interface Nemesis extends ServiceCrashes, StripeFaults {
  killBroker(): Promise<void>;
  /** The broker closes its connections in an orderly way, and restarts. */
  restartBroker(): Promise<void>;
  /** The broker stops responding, with its connections open, until it is killed. */
  freezeBroker(): void;
  /** The broker is short of memory and accepts no messages while `during` runs. */
  exhaustBrokerMemory(during: () => Promise<void>): Promise<void>;
  /** The database stops responding for this time, and then continues. */
  freezeDatabase(ms: number): Promise<void>;
  killDatabase(): Promise<void>;
  /** Kills everything but the edge at once, and restarts all of it in random order. */
  killEverything(): Promise<void>;
}

const MEMORY_LIMIT = "512MB";
const LARGEST_START_DELAY_MS = 3_000;

interface Options {
  system: System;
  /** The proxy between each service and the broker. */
  brokerProxies: MutingProxies;
  /** Returns a number from 0 to below 1; the sequence is the same in every run. */
  random: () => number;
}

export function createNemesis({ system, brokerProxies, random }: Options): Nemesis {
  const { mongo, rabbit, redis } = system.parts;
  const { process: stripe } = system.stripe;
  if (!mongo || !rabbit || !redis || !stripe)
    throw new Error("faults need a system with parts of its own");
  const crashes = serviceCrashes(system, brokerProxies, random);
  const setMemoryLimit = (limit: string) =>
    rabbit.control("set_vm_memory_high_watermark", "absolute", limit);

  return {
    ...crashes,
    ...stripeFaults(system, random),
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
      await setMemoryLimit("1");
      await during().finally(() => setMemoryLimit(MEMORY_LIMIT));
    },
    async freezeDatabase(ms) {
      mongo.kill("SIGSTOP");
      await passing(ms);
      mongo.kill("SIGCONT");
    },
    async killDatabase() {
      mongo.kill("SIGKILL");
      await mongo.child.exited;
      await mongo.restart();
    },
    async killEverything() {
      const stores = [mongo, rabbit, redis];
      for (const store of stores) store.kill("SIGKILL");
      stripe.child.kill("SIGKILL");
      await Promise.all(services.map((service) => crashes.crash(service)));
      await Promise.all([...stores, stripe].map(({ child }) => child.exited));
      const restart = async (part: { restart(): Promise<void> }): Promise<void> => {
        await passing(random() * LARGEST_START_DELAY_MS);
        await part.restart();
      };
      const instances = Object.values(system.instances).flat();
      await Promise.all([...stores, stripe, ...instances].map(restart));
    },
  };
}
