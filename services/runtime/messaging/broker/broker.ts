import { openConsumerConnection, type ConsumerConnection } from "./consumer-channel.ts";
import type { Log } from "../../log.ts";
import { openPublisherConnection, type PublisherConnection } from "./publisher-channel.ts";
import { topologyMarker, type Routing } from "../topology/topology.ts";

export { isBrokerFault } from "./publisher-channel.ts";
export type { ReceiveMessage } from "./consumer-channel.ts";

/**
 * RabbitMQ, on two connections. A broker that is short of memory or disk space blocks connections that
 * publish, but must still receive acknowledgements: those free its memory. Only handlers that publish
 * wait (consumer.ts).
 */
export interface Broker
  extends Pick<PublisherConnection, "publish">, Pick<ConsumerConnection, "consume" | "subscribe"> {
  /** Whether it is available, has what this version needs, and accepts messages. */
  readonly connected: boolean;
  /** Calls the listener each time `connected` becomes true. */
  onConnect(listener: () => void): void;
  close(): Promise<void>;
}

interface Options extends Routing {
  url: string;
  /** The service's name, which is also the name of its user at the broker. */
  name: string;
  log: Log;
  onChange?: (connected: boolean) => void;
}

export async function connectBroker(options: Options): Promise<Broker> {
  const { url, name, subscriptions, log } = options;
  const state = connectionState(options);
  const shared = { url, name, log, onChange: state.update };
  const marker = topologyMarker(options).name;
  const publisher = await openPublisherConnection({ ...shared, marker });
  const consumer = await openConsumerConnection({ ...shared, subscriptions });
  state.watch(publisher, consumer);

  return {
    get connected() {
      return state.isConnected();
    },
    publish: publisher.publish,
    consume: consumer.consume,
    subscribe: consumer.subscribe,
    onConnect: state.onConnect,
    async close() {
      await consumer.close();
      await publisher.close();
    },
  };
}

/** The common state of both connections: logs its changes and reports them. */
function connectionState({ log, onChange }: Options) {
  const listeners = new Set<() => void>();
  let connections: { publisher: PublisherConnection; consumer: ConsumerConnection } | undefined;
  let wasOpen = false;
  let wasConnected: boolean | undefined;

  const isOpen = (): boolean => Boolean(connections?.publisher.model && connections.consumer.model);
  const isConnected = (): boolean => isOpen() && !connections?.publisher.blocked;

  function update(): void {
    if (isOpen() !== wasOpen) {
      wasOpen = !wasOpen;
      if (wasOpen) log.info("broker connected");
      else log.warn("broker gone");
    }
    const connected = isConnected();
    if (connected === wasConnected) return;
    wasConnected = connected;
    onChange?.(connected);
    if (connected) for (const listener of [...listeners]) listener();
  }

  return {
    isConnected,
    update,
    watch(publisher: PublisherConnection, consumer: ConsumerConnection): void {
      connections = { publisher, consumer };
      update();
    },
    onConnect: (listener: () => void): void => void listeners.add(listener),
  };
}
