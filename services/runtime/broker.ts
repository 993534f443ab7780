import {
  connect,
  type Channel,
  type ChannelModel,
  type ConfirmChannel,
  type ConsumeMessage,
  type Options,
} from "amqplib";
import type { Log } from "./log.ts";
import { declareTopology, type Subscriptions } from "./topology.ts";

/** Receives messages of one queue; settles each by itself. */
export type Receive = (message: ConsumeMessage, channel: Channel) => Promise<void>;

/** A connection to RabbitMQ that comes back by itself, with its topology and its consumers. */
export interface Broker {
  readonly connected: boolean;
  /** Resolves when the broker has the message safe; rejects where it has not, or cannot route it. */
  publish(exchange: string, key: string, body: Buffer, options: Options.Publish): Promise<void>;
  /** Consumes a queue, now and after every reconnect, until the stop it answers is called. */
  consume(queue: string, prefetch: number, receive: Receive): Promise<() => Promise<void>>;
  /** Called after every connect. */
  onConnect(listener: () => void): void;
  close(): Promise<void>;
}

interface Connection {
  url: string;
  name: string;
  subscriptions: Subscriptions;
  log: Log;
  onChange?: (connected: boolean) => void;
}

interface Consumer {
  queue: string;
  prefetch: number;
  receive: Receive;
  /** How to stop it on the connection of now. */
  cancel?: () => Promise<void>;
}

const CONFIRM_TIMEOUT_MS = 10_000;

export async function connectBroker(options: Connection): Promise<Broker> {
  const { url, name, subscriptions, log, onChange } = options;
  const consumers = new Set<Consumer>();
  const listeners = new Set<() => void>();
  const returned = new Set<string>();
  let publisher: ConfirmChannel | undefined;
  let inner: ChannelModel | undefined;

  // A channel that the broker closed takes the connection with it: then everything is set up anew.
  function guard<C extends Channel>(model: ChannelModel, channel: C): C {
    channel.on("error", (err) => log.error({ err }, "broker channel closed"));
    channel.on("handler-error", (err: unknown) => log.error({ err }, "broker listener failed"));
    channel.on("close", () => {
      if (inner === model) void model.close().catch(() => undefined);
    });
    return channel;
  }

  async function begin(model: ChannelModel, consumer: Consumer): Promise<void> {
    const channel = guard(model, await model.createChannel());
    const running = new Set<Promise<void>>();
    await channel.prefetch(consumer.prefetch);
    const { consumerTag } = await channel.consume(consumer.queue, (message) => {
      if (!message) return void model.close().catch(() => undefined); // The queue was deleted.
      const work = consumer.receive(message, channel).catch((err: unknown) => {
        log.error({ err }, "a message could not be settled");
      });
      running.add(work);
      void work.finally(() => running.delete(work));
    });
    consumer.cancel = async () => {
      await channel.cancel(consumerTag).catch(() => undefined);
      await Promise.all(running);
    };
  }

  async function setup(model: ChannelModel): Promise<void> {
    const channel = await model.createConfirmChannel();
    await declareTopology(channel, subscriptions);
    channel.on("return", ({ properties }) => returned.add(String(properties.messageId)));
    inner = model;
    publisher = guard(model, channel);
    try {
      for (const consumer of consumers) await begin(model, consumer);
    } catch (error) {
      publisher = inner = undefined;
      throw error;
    }
  }

  const connection = await connect(url, {
    clientProperties: { connection_name: name },
    recovery: {
      initialDelay: 100,
      maxDelay: 3_000,
      factor: 2,
      jitter: 0.3,
      setup,
      waitForConnect: false,
    },
  });
  connection.on("handler-error", (err: unknown) => log.error({ err }, "broker listener failed"));
  connection.on("error", (err) => log.debug({ err: err.message }, "broker connection error"));
  connection.on("connect-failed", (err) => log.warn({ err: err.message }, "no broker yet"));
  connection.on("connect", () => {
    log.info("broker connected");
    onChange?.(true);
    for (const listener of listeners) listener();
  });
  connection.on("disconnect", () => {
    log.warn("broker gone");
    publisher = undefined;
    inner = undefined;
    onChange?.(false);
  });
  await connection.waitForConnect();

  return {
    get connected() {
      return publisher !== undefined;
    },
    publish(exchange, key, body, publishOptions) {
      const channel = publisher;
      if (!channel) return Promise.reject(new Error("no broker"));
      return new Promise((resolve, reject) => {
        const late = () => reject(new Error("the broker did not confirm in time"));
        const timer = setTimeout(late, CONFIRM_TIMEOUT_MS);
        const id = String(publishOptions.messageId);
        const settle = (err: unknown): void => {
          clearTimeout(timer);
          if (returned.delete(id)) reject(new Error(`no queue for ${key}`));
          else if (err) reject(err instanceof Error ? err : new Error("refused by the broker"));
          else resolve();
        };
        channel.publish(exchange, key, body, { persistent: true, ...publishOptions }, settle);
      });
    },
    async consume(queue, prefetch, receive) {
      const consumer: Consumer = { queue, prefetch, receive };
      consumers.add(consumer);
      if (inner) await begin(inner, consumer);
      return async () => {
        consumers.delete(consumer);
        await consumer.cancel?.();
      };
    },
    onConnect(listener) {
      listeners.add(listener);
    },
    async close() {
      inner = undefined;
      await connection.close();
    },
  };
}
