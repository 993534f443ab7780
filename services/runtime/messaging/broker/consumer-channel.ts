import type { ChannelModel, ConsumeMessage } from "amqplib";
import type { Log } from "../../log.ts";
import { acknowledgements, type Acknowledgements } from "./acknowledgements.ts";
import {
  closeChannel,
  closeConnectionWith,
  openConnection,
  type BrokerConnection,
} from "./connection.ts";
import { checkQueueLeaders } from "./queue-leaders.ts";
import { EVENTS_EXCHANGE, type Subscriptions } from "../topology/topology.ts";

/**
 * Receives the messages of a queue and acknowledges or returns each of them. When `channelClosed` is
 * aborted, the broker has taken back the messages that are not acknowledged, and delivers them to another
 * consumer.
 */
export type ReceiveMessage = (
  message: ConsumeMessage,
  acks: Acknowledgements,
  channelClosed: AbortSignal,
) => Promise<void>;

/** The connection for incoming messages. */
export interface ConsumerConnection extends BrokerConnection {
  /** Consumes a queue, also after each reconnect, until the returned function is called. */
  consume(queue: string, prefetch: number, receive: ReceiveMessage): Promise<() => Promise<void>>;
  /**
   * Receives events in an exclusive queue of this instance, which ends with its connection. `onBound` is
   * called when the queue is bound, also after each reconnect: events in between were missed.
   */
  subscribe(
    types: readonly string[],
    receive: (message: ConsumeMessage) => void,
    onBound: () => void,
  ): Promise<void>;
}

interface Consumer {
  queue: string;
  prefetch: number;
  receive: ReceiveMessage;
  /** Cancels it on the current connection. */
  cancel?: () => Promise<void>;
}

interface Subscription {
  types: readonly string[];
  receive: (message: ConsumeMessage) => void;
  onBound: () => void;
}

interface Options {
  url: string;
  /** The service's name. */
  name: string;
  subscriptions: Subscriptions;
  log: Log;
  onChange: () => void;
}

export async function openConsumerConnection(options: Options): Promise<ConsumerConnection> {
  const { url, name, subscriptions, log, onChange } = options;
  const consumers = new Set<Consumer>();
  const subscribed = new Set<Subscription>();
  const connection = await openConnection({
    url,
    name,
    log,
    onChange,
    async prepare(model) {
      if (name in subscriptions) await checkQueues(model, name, log);
    },
    async start(model) {
      for (const consumer of [...consumers]) await startConsumer(model, consumer, log);
      for (const subscription of [...subscribed]) await startSubscription(model, subscription, log);
    },
  });

  return Object.assign(connection, {
    async consume(queue: string, prefetch: number, receive: ReceiveMessage) {
      const consumer: Consumer = { queue, prefetch, receive };
      consumers.add(consumer);
      if (connection.model) await startConsumer(connection.model, consumer, log);
      return async () => {
        consumers.delete(consumer);
        await consumer.cancel?.();
      };
    },
    async subscribe(
      types: readonly string[],
      receive: Subscription["receive"],
      onBound: () => void,
    ) {
      const subscription: Subscription = { types, receive, onBound };
      subscribed.add(subscription);
      if (connection.model) await startSubscription(connection.model, subscription, log);
    },
  });
}

async function checkQueues(model: ChannelModel, service: string, log: Log): Promise<void> {
  const channel = closeConnectionWith(model, await model.createChannel(), log);
  await checkQueueLeaders(channel, service);
  await closeChannel(channel);
}

/** Consumes on the current connection. A queue that is deleted ends the connection. */
async function startConsumer(model: ChannelModel, consumer: Consumer, log: Log): Promise<void> {
  const channel = closeConnectionWith(model, await model.createChannel(), log);
  const running = new Set<Promise<void>>();
  const closed = new AbortController();
  channel.on("close", () => closed.abort());
  const acks = acknowledgements(channel, closed.signal);
  await channel.prefetch(consumer.prefetch);
  const { consumerTag } = await channel.consume(consumer.queue, (message) => {
    if (!message) return closeConnection(model);
    acks.received(message);
    const received = (async () => consumer.receive(message, acks, closed.signal))();
    const work = received.catch((err: unknown) => {
      // The channel is closed, so the broker delivers the message to another consumer.
      log.warn({ err: (err as Error).message }, "a message could not be settled");
    });
    running.add(work);
    void work.finally(() => running.delete(work));
  });
  consumer.cancel = async () => {
    await channel.cancel(consumerTag).catch(() => undefined);
    await Promise.all(running);
    acks.send();
    await closeChannel(channel);
  };
}

/** Subscribes on the current connection. A queue that is deleted ends the connection. */
async function startSubscription(
  model: ChannelModel,
  subscription: Subscription,
  log: Log,
): Promise<void> {
  const channel = closeConnectionWith(model, await model.createChannel(), log);
  const exclusive = { exclusive: true, autoDelete: true, durable: false };
  const { queue } = await channel.assertQueue("", exclusive);
  const { types, receive, onBound } = subscription;
  await Promise.all(types.map((type) => channel.bindQueue(queue, EVENTS_EXCHANGE, type)));
  const receiveSafely = (message: ConsumeMessage | null): void => {
    if (!message) return closeConnection(model);
    try {
      receive(message);
    } catch (err) {
      // An exception would close the connection, with everything else that uses it.
      log.error({ err, type: message.fields.routingKey }, "an event could not be received");
    }
  };
  await channel.consume(queue, receiveSafely, { noAck: true });
  onBound();
}

const closeConnection = (model: ChannelModel): void => void model.close().catch(() => undefined);
