import { setTimeout as passing } from "node:timers/promises";
import { until } from "#stack/process";
import { services, type ServiceName, type System } from "#stack/launcher";
import type { MutingProxies } from "./muting-proxies.ts";
import type { MutingProxy } from "./muting-proxy.ts";

export interface ServiceCrashes {
  /** Kills instances of a service, by default all, and waits for their end. */
  crash(service: ServiceName, which?: System["instances"][ServiceName]): Promise<void>;
  /**
   * Kills every instance of a service at the worst moment: it has handled events and saved changes, but
   * the broker has received neither an acknowledgement nor an event.
   */
  killBeforeConfirmation(service: ServiceName): Promise<void>;
  /** Kills this many single instances, each at a random moment. */
  killAtRandom(times: number): Promise<void>;
}

const PUBLISH_TIMEOUT_MS = 120_000;
/** Shorter than the broker waits for a heartbeat: then it would close the muted connection. */
const MUTED_MS = 4_000;
/** Long enough for a service to reconnect. */
const UNMUTED_MS = 4_000;
const LARGEST_PAUSE_MS = 300;

/**
 * Mutes a service until it publishes, and returns whether it did. A service that is just connecting
 * cannot publish while it is muted, so after a while it is unmuted.
 */
async function muteUntilPublishing(proxy: MutingProxy): Promise<boolean> {
  proxy.mute();
  // The name of an exchange is in the data once the service publishes.
  const publishes = (): boolean => proxy.pending().includes("ticketing.");
  const found = await until(publishes, { what: "a message", timeoutMs: MUTED_MS }).then(
    () => true,
    () => false,
  );
  if (found) return true;
  proxy.unmute();
  await passing(UNMUTED_MS);
  return false;
}

export function serviceCrashes(
  { instances }: System,
  brokerProxies: MutingProxies,
  random: () => number,
): ServiceCrashes {
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];

  async function crash(service: ServiceName, which = instances[service]): Promise<void> {
    for (const { child } of which) child.kill("SIGKILL");
    await Promise.all(which.map(({ child }) => child.exited));
  }

  return {
    crash,
    async killBeforeConfirmation(service) {
      const proxy = brokerProxies.get(service);
      if (!proxy) throw new Error(`no proxy between ${service} and the broker`);
      const publishes = () => muteUntilPublishing(proxy);
      await until(publishes, { what: `${service} to publish`, timeoutMs: PUBLISH_TIMEOUT_MS });
      await crash(service);
      proxy.unmute();
      await Promise.all(instances[service].map((instance) => instance.restart()));
    },
    async killAtRandom(times) {
      for (let i = 0; i < times; i += 1) {
        const service = pick(services) ?? "orders";
        const instance = pick(instances[service]);
        if (!instance) throw new Error(`no instance of ${service}`);
        await passing(random() * LARGEST_PAUSE_MS);
        await crash(service, [instance]);
        await instance.restart();
      }
    },
  };
}
