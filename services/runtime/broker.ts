import {
  connect,
  type Channel,
  type ChannelModel,
  type ConfirmChannel,
  type ConsumeMessage,
  type Options,
} from "amqplib";
import { newId } from "./ids.ts";
import { haveLeaders } from "./leaders.ts";
import type { Log } from "./log.ts";
import { EVENTS, markerOf, type Routing } from "./topology.ts";

/** The broker does not have a message: it is away, refused it, or knows no queue for it. */
class NotPublished extends Error {}

/** Whether a publish failed, which is never the fault of what was published. */
export const isBrokerFault = (error: unknown): boolean => error instanceof NotPublished;

/** Receives messages of one queue; settles each by itself. */
export type Receive = (message: ConsumeMessage, channel: Channel) => Promise<void>;

/** A connection to RabbitMQ that comes back by itself, with its consumers. */
export interface Broker {
  /** Whether it is there, holds all that this version needs, and takes messages. */
  readonly connected: boolean;
  /**
   * Publishes in the service's name. Resolves when the broker has the message safe; rejects where it
   * has not, or cannot route it.
   */
  publish(exchange: string, key: string, body: Buffer, options: Options.Publish): Promise<void>;
  /** Consumes a queue, now and after every reconnect, until the stop it answers is called. */
  consume(queue: string, prefetch: number, receive: Receive): Promise<() => Promise<void>>;
  /**
   * Hears events in a queue that is this instance's alone and ends with its line: now and after every
   * reconnect, each of which is told to `bound`, because what came in between was missed.
   */
  listen(
    types: readonly string[],
    receive: (message: ConsumeMessage) => void,
    bound: () => void,
  ): Promise<void>;
  /** Called whenever it has become `connected`. */
  onConnect(listener: () => void): void;
  close(): Promise<void>;
}

interface Connection extends Routing {
  url: string;
  /** The service's name, which is also its user's at the broker. */
  name: string;
  log: Log;
  onChange?: (connected: boolean) => void;
}

/** What a connection of now is used through. */
interface Line {
  model: ChannelModel;
  publisher: ConfirmChannel;
}

interface Consumer {
  queue: string;
  prefetch: number;
  receive: Receive;
  /** How to stop it on the connection of now. */
  cancel?: () => Promise<void>;
}

interface Listener {
  types: readonly string[];
  receive: (message: ConsumeMessage) => void;
  bound: () => void;
}

/** Two of these without a sign, and a broker that is frozen or cut off counts as gone. */
const HEARTBEAT_SECONDS = 5;
const TIMEOUT_MS = 10_000;

function withHeartbeat(url: string): string {
  const address = new URL(url);
  address.searchParams.set("heartbeat", String(HEARTBEAT_SECONDS));
  return address.href;
}

export async function connectBroker(options: Connection): Promise<Broker> {
  const { url, name, subscriptions, log, onChange } = options;
  const marker = markerOf(options).name;
  const consumers = new Set<Consumer>();
  const ears = new Set<Listener>();
  const listeners = new Set<() => void>();
  const returned = new Set<string>();
  const ended = new WeakSet<Channel>();
  let line: Line | undefined;
  let blocked = false;

  // A channel that we did not end takes the connection with it: then everything is set up anew.
  function guard<C extends Channel>(model: ChannelModel, channel: C): C {
    channel.on("error", (err) => log.error({ err }, "broker channel closed"));
    channel.on("handler-error", (err: unknown) => log.error({ err }, "broker listener failed"));
    channel.on("close", () => {
      if (!ended.has(channel)) void model.close().catch(() => undefined);
    });
    return channel;
  }

  /** Its answer comes after all that was sent on the channel; a connection is closed with less care. */
  async function end(channel: Channel): Promise<void> {
    ended.add(channel);
    await channel.close().catch(() => undefined);
  }

  async function begin(model: ChannelModel, consumer: Consumer): Promise<void> {
    const channel = guard(model, await model.createChannel());
    const running = new Set<Promise<void>>();
    await channel.prefetch(consumer.prefetch);
    const { consumerTag } = await channel.consume(consumer.queue, (message) => {
      if (!message) return void model.close().catch(() => undefined); // The queue was deleted.
      const received = (async () => consumer.receive(message, channel))();
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
      await end(channel);
    };
  }

  async function beginListening(model: ChannelModel, ear: Listener): Promise<void> {
    const channel = guard(model, await model.createChannel());
    const own = { exclusive: true, autoDelete: true, durable: false };
    const { queue } = await channel.assertQueue("", own);
    await Promise.all(ear.types.map((type) => channel.bindQueue(queue, EVENTS, type)));
    const receive = (message: ConsumeMessage | null): void => {
      if (!message) return void model.close().catch(() => undefined); // The queue was deleted.
      try {
        ear.receive(message);
      } catch (err) {
        // Thrown on, it would take the connection with it, and everything that is on it.
        log.error({ err, type: message.fields.routingKey }, "a message could not be heard");
      }
    };
    await channel.consume(queue, receive, { noAck: true });
    ear.bound();
  }

  async function setup(model: ChannelModel): Promise<void> {
    const channel = guard(model, await model.createConfirmChannel());
    channel.on("return", ({ properties }) => returned.add(String(properties.messageId)));
    await channel.checkExchange(marker).catch((cause: unknown) => {
      const missing = "the broker does not hold what this version needs; import its definitions";
      throw new Error(`${missing} (there is no ${marker})`, { cause });
    });
    if (name in subscriptions) await haveLeaders(channel, name);
    line = { model, publisher: channel };
    try {
      for (const consumer of [...consumers]) await begin(model, consumer);
      for (const ear of [...ears]) await beginListening(model, ear);
    } catch (error) {
      line = undefined;
      throw error;
    }
  }

  function changed(): void {
    const usable = line !== undefined && !blocked;
    onChange?.(usable);
    if (usable) for (const listener of listeners) listener();
  }

  const connection = await connect(withHeartbeat(url), {
    noDelay: true,
    timeout: TIMEOUT_MS,
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
    changed();
  });
  connection.on("disconnect", () => {
    log.warn("broker gone");
    line = undefined;
    blocked = false;
    changed();
  });
  // Short of memory or disk it takes nothing; what is sent all the same would pile up here.
  connection.on("blocked", (reason) => {
    log.warn({ reason }, "broker takes no messages");
    blocked = true;
    changed();
  });
  connection.on("unblocked", () => {
    log.info("broker takes messages again");
    blocked = false;
    changed();
  });
  await connection.waitForConnect();

  return {
    get connected() {
      return line !== undefined && !blocked;
    },
    async publish(exchange, key, body, publishOptions) {
      if (!line || blocked) throw new NotPublished("no broker");
      const { publisher } = line;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const messageId = String(publishOptions.messageId ?? newId());
      const sent = { persistent: true, ...publishOptions, messageId, userId: name };
      const confirmed = (err: unknown): void => {
        if (returned.delete(messageId)) reject(new NotPublished(`no queue for ${key}`));
        else if (err) reject(new NotPublished("refused by the broker", { cause: err }));
        else resolve();
      };
      try {
        publisher.publish(exchange, key, body, sent, confirmed);
      } catch (cause) {
        // A channel that has just ended says so by throwing.
        throw new NotPublished("no channel to the broker", { cause });
      }
      const late = () => reject(new NotPublished("the broker did not confirm in time"));
      const timer = setTimeout(late, TIMEOUT_MS);
      await promise.finally(() => clearTimeout(timer));
    },
    async consume(queue, prefetch, receive) {
      const consumer: Consumer = { queue, prefetch, receive };
      consumers.add(consumer);
      if (line) await begin(line.model, consumer);
      return async () => {
        consumers.delete(consumer);
        await consumer.cancel?.();
      };
    },
    async listen(types, receive, bound) {
      const ear: Listener = { types, receive, bound };
      ears.add(ear);
      if (line) await beginListening(line.model, ear);
    },
    onConnect(listener) {
      listeners.add(listener);
    },
    close: () => connection.close(),
  };
}
