import { connect, type ConfirmChannel, type ConsumeMessage } from "amqplib";
import type { Broker } from "../broker/broker.ts";
import {
  checkDelayedExchange,
  DELAYED_EXCHANGE,
  DELAYED_QUEUE,
  immediateKey,
  QUEUES_EXCHANGE,
} from "../topology/topology.ts";
import { forwardedProperties, type DelayedMessage } from "../delayed-message.ts";
import { withDeadline } from "../../deadline.ts";

interface Options {
  broker: Broker;
  /** The broker's address. */
  url: string;
  /** Messages are delivered to this service's queue. */
  service: string;
  /** Called when it is closed, by either side. */
  onClose: () => void;
}

/** A separate connection to a broker that has the plugin. */
export interface DelayPlugin {
  publish(message: DelayedMessage, leftMs: number): Promise<void>;
  close(): Promise<void>;
}

/** The plugin's maximum delay. A longer one is delivered early. */
const LONGEST_MS = 2 ** 32 - 1;
const TIMEOUT_MS = 5_000;
const PREFETCH = 64;

/** Rejects if the work takes too long. */
const withTimeout = <T>(work: Promise<T>, what: string): Promise<T> =>
  withDeadline(TIMEOUT_MS, work, () => new Error(`${what} took too long`));

/**
 * Connects to the plugin. Only a second declaration of its exchange shows reliably that the broker has
 * it. A broker without the plugin closes the channel or (RabbitMQ 3) the connection, so this connection
 * serves nothing else, and no fault of the plugin closes another one. Rejects with the broker's reason
 * if there is no plugin.
 */
export async function connectDelayPlugin(options: Options): Promise<DelayPlugin> {
  const { broker, url, service, onClose } = options;
  const name = { clientProperties: { connection_name: `${service} delay` } };
  const model = await connect(url, { timeout: TIMEOUT_MS, ...name });
  // The error of a call is not always the reason: the broker's reason comes as an event.
  let reason: Error | undefined;
  const keep = (err: Error): void => void (reason ??= err);
  const close = (): Promise<void> => model.close().catch(() => undefined);
  model.on("error", keep);

  async function open(): Promise<ConfirmChannel> {
    const channel = await model.createConfirmChannel();
    channel.on("error", keep);
    await checkDelayedExchange(channel);
    await channel.prefetch(PREFETCH);
    await channel.consume(DELAYED_QUEUE, (message) => {
      // A message that could not be forwarded is delivered again on the next connection.
      if (message) void forward(channel, message).catch(close);
      else void close();
    });
    channel.on("close", () => void close());
    model.on("close", onClose);
    return channel;
  }

  async function forward(channel: ConfirmChannel, message: ConsumeMessage): Promise<void> {
    const properties = forwardedProperties(message, { "x-delay": undefined });
    const sent = { ...properties, mandatory: true };
    await broker.publish(QUEUES_EXCHANGE, immediateKey(service), message.content, sent);
    channel.ack(message);
  }

  const channel = await withTimeout(open(), "declaring the delayed exchange").catch(async (err) => {
    await close();
    throw reason ?? err;
  });
  return {
    close,
    publish({ content, properties }, leftMs) {
      const delay = Math.min(Math.max(Math.ceil(leftMs), 1), LONGEST_MS);
      const headers = { ...properties.headers, "x-delay": delay };
      // Never `mandatory`: the plugin routes nothing immediately, so every message would be returned.
      const options = { ...properties, headers, persistent: true };
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      channel.publish(DELAYED_EXCHANGE, immediateKey(service), content, options, (err: unknown) =>
        err ? reject(err) : resolve(),
      );
      return withTimeout(promise, "publishing to the plugin");
    },
  };
}
