import { openConsumerConnection, type ConsumerConnection } from "./consumer-channel.ts";
import type { Log } from "../log.ts";
import { openPublisherConnection, type PublisherConnection } from "./publisher-channel.ts";
import { topologyMarker, type Routing } from "./topology.ts";

export { isBrokerFault } from "./publisher-channel.ts";
export type { ReceiveMessage } from "./consumer-channel.ts";

/**
 * RabbitMQ, by two connections. One that publishes is stopped by a broker short of memory or disk, and
 * what comes in must be acknowledged all the same: that is what makes room again. Only an event whose
 * handling publishes waits (events.ts).
 */
export interface Broker
  extends Pick<PublisherConnection, "publish">, Pick<ConsumerConnection, "consume" | "subscribe"> {
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
  const ways: { publishing?: PublisherConnection; consuming?: ConsumerConnection } = {};
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
  const publishing = await openPublisherConnection({
    ...about,
    marker: topologyMarker(options).name,
  });
  const consuming = await openConsumerConnection({ ...about, subscriptions });
  Object.assign(ways, { publishing, consuming });
  onChange();

  return {
    get connected() {
      return isConnected();
    },
    publish: publishing.publish,
    consume: consuming.consume,
    subscribe: consuming.subscribe,
    onConnect: (listener) => void listeners.add(listener),
    async close() {
      await consuming.close();
      await publishing.close();
    },
  };
}
