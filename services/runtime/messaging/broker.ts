import { openConsuming, type Consuming } from "./consumer-channel.ts";
import type { Log } from "../log.ts";
import { openPublishing, type Publishing } from "./publisher-channel.ts";
import { markerOf, type Routing } from "./topology.ts";

export { isBrokerFault } from "./publisher-channel.ts";
export type { Receive } from "./consumer-channel.ts";

/**
 * RabbitMQ, by two connections. One that publishes is stopped by a broker short of memory or disk, and
 * what comes in must be acknowledged all the same: that is what makes room again. Only an event whose
 * handling publishes waits (events.ts).
 */
export interface Broker extends Pick<Publishing, "publish">, Pick<Consuming, "consume" | "listen"> {
  /** Whether it is there, holds all that this version needs, and takes messages. */
  readonly connected: boolean;
  /** Called whenever it has become `connected`. */
  onConnect(listener: () => void): void;
  close(): Promise<void>;
}

interface Options extends Routing {
  url: string;
  /** The service's name, which is also its user's at the broker. */
  name: string;
  log: Log;
  onChange?: (connected: boolean) => void;
}

export async function connectBroker(options: Options): Promise<Broker> {
  const { url, name, subscriptions, log, onChange: tell } = options;
  const listeners = new Set<() => void>();
  const ways: { publishing?: Publishing; consuming?: Consuming } = {};
  let wasThere = false;
  let wasConnected: boolean | undefined;

  const isThere = (): boolean => Boolean(ways.publishing?.model && ways.consuming?.model);
  const isConnected = (): boolean => isThere() && !ways.publishing?.blocked;

  function onChange(): void {
    if (isThere() !== wasThere) {
      wasThere = !wasThere;
      if (wasThere) log.info("broker connected");
      else log.warn("broker gone");
    }
    const connected = isConnected();
    if (connected === wasConnected) return;
    wasConnected = connected;
    tell?.(connected);
    if (connected) for (const listener of [...listeners]) listener();
  }

  const about = { url, name, log, onChange };
  const publishing = await openPublishing({ ...about, marker: markerOf(options).name });
  const consuming = await openConsuming({ ...about, subscriptions });
  Object.assign(ways, { publishing, consuming });
  onChange();

  return {
    get connected() {
      return isConnected();
    },
    publish: publishing.publish,
    consume: consuming.consume,
    listen: consuming.listen,
    onConnect: (listener) => void listeners.add(listener),
    async close() {
      await consuming.close();
      await publishing.close();
    },
  };
}
