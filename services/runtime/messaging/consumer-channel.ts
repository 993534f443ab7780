import type { Channel, ChannelModel, ConsumeMessage } from "amqplib";
import {
  closeChannel,
  closeConnectionWith,
  openConnection,
  type BrokerConnection,
} from "./connection.ts";
import { checkQueueLeaders } from "./queue-leaders.ts";
import type { Log } from "../log.ts";
import { EVENTS_EXCHANGE, type Subscriptions } from "./topology.ts";

/**
 * Receives messages of one queue; settles each by itself. Once `gone` is aborted, the broker has taken
 * all that is not settled back, and gives it to the next one.
 */
export type ReceiveMessage = (
  message: ConsumeMessage,
  channel: Channel,
  gone: AbortSignal,
) => Promise<void>;

/** The connection that messages come in by. */
export interface ConsumerConnection extends BrokerConnection {
  /** Consumes a queue, now and after every reconnect, until the stop it answers is called. */
  consume(queue: string, prefetch: number, receive: ReceiveMessage): Promise<() => Promise<void>>;
  /**
   * Hears events in a queue that is this instance's alone and ends with its connection: now and after
   * every reconnect, each of which is told to `bound`, because what came in between was missed.
   */
  subscribe(
    types: readonly string[],
    receive: (message: ConsumeMessage) => void,
    bound: () => void,
  ): Promise<void>;
}

interface Consumer {
  queue: string;
  prefetch: number;
  receive: ReceiveMessage;
  /** How to stop it on the connection of now. */
  cancel?: () => Promise<void>;
}

interface Listener {
  types: readonly string[];
  receive: (message: ConsumeMessage) => void;
  bound: () => void;
}

interface Options {
  url: string;
  /** The service's name. */
  name: string;
  subscriptions: Subscriptions;
  log: Log;
  onChange: () => void;
}

const close = (model: ChannelModel): void => void model.close().catch(() => undefined);

export async function openConsumerConnection(options: Options): Promise<ConsumerConnection> {
  const { url, name, subscriptions, log, onChange } = options;
  const consumers = new Set<Consumer>();
  const listeners = new Set<Listener>();

  async function begin(model: ChannelModel, consumer: Consumer): Promise<void> {
    const channel = closeConnectionWith(model, await model.createChannel(), log);
    const running = new Set<Promise<void>>();
    const gone = new AbortController();
    channel.on("close", () => gone.abort());
    await channel.prefetch(consumer.prefetch);
    const { consumerTag } = await channel.consume(consumer.queue, (message) => {
      if (!message) return close(model); // The queue was deleted.
      const received = (async () => consumer.receive(message, channel, gone.signal))();
      const work = received.catch((err: unknown) => {
        // With its channel gone, the broker gives the message to the next one.
        log.warn({ err: (err as Error).message }, "a message could not be settled");
      });
      running.add(work);
      void work.finally(() => running.delete(work));
    });
    consumer.cancel = async () => {
      await channel.cancel(consumerTag).catch(() => undefined);
      await Promise.all(running);
      await closeChannel(channel);
    };
  }

  async function beginListening(model: ChannelModel, listener: Listener): Promise<void> {
    const channel = closeConnectionWith(model, await model.createChannel(), log);
    const own = { exclusive: true, autoDelete: true, durable: false };
    const { queue } = await channel.assertQueue("", own);
    await Promise.all(
      listener.types.map((type) => channel.bindQueue(queue, EVENTS_EXCHANGE, type)),
    );
    const receive = (message: ConsumeMessage | null): void => {
      if (!message) return close(model); // The queue was deleted.
      try {
        listener.receive(message);
      } catch (err) {
        // Thrown on, it would take the connection with it, and everything that is on it.
        log.error({ err, type: message.fields.routingKey }, "a message could not be heard");
      }
    };
    await channel.consume(queue, receive, { noAck: true });
    listener.bound();
  }

  const connection = await openConnection({
    ...{ url, name, log, onChange },
    async prepare(model) {
      if (!(name in subscriptions)) return;
      const channel = closeConnectionWith(model, await model.createChannel(), log);
      await checkQueueLeaders(channel, name);
      await closeChannel(channel);
    },
    async begin(model) {
      for (const consumer of [...consumers]) await begin(model, consumer);
      for (const listener of [...listeners]) await beginListening(model, listener);
    },
  });

  return Object.assign(connection, {
    async consume(queue: string, prefetch: number, receive: ReceiveMessage) {
      const consumer: Consumer = { queue, prefetch, receive };
      consumers.add(consumer);
      if (connection.model) await begin(connection.model, consumer);
      return async () => {
        consumers.delete(consumer);
        await consumer.cancel?.();
      };
    },
    async subscribe(types: readonly string[], receive: Listener["receive"], bound: () => void) {
      const listener: Listener = { types, receive, bound };
      listeners.add(listener);
      if (connection.model) await beginListening(connection.model, listener);
    },
  });
}
