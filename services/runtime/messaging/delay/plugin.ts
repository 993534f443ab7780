import { connect, type ConfirmChannel, type ConsumeMessage } from "amqplib";
import type { Broker } from "../broker.ts";
import {
  checkDelayedExchange,
  DELAYED_EXCHANGE,
  DELAYED_QUEUE,
  immediateKey,
  QUEUES_EXCHANGE,
} from "../topology.ts";
import { forwardedProperties, type DelayedMessage } from "./delayed-message.ts";
import { withDeadline } from "../../deadline.ts";

interface Options {
  broker: Broker;
  /** The broker's address. */
  url: string;
  /** What is left comes out into its queue. */
  service: string;
  /** Called once it is closed, by whomever. */
  onClose: () => void;
}

/** A connection of its own to a broker that has the plugin. */
export interface DelayPlugin {
  publish(message: DelayedMessage, leftMs: number): Promise<void>;
  close(): Promise<void>;
}

/** What the plugin can count; what takes longer comes out before its time. */
const LONGEST_MS = 2 ** 32 - 1;
const TIMEOUT_MS = 5_000;
const PREFETCH = 64;

/** Does something before the time is up, or not. */
const withTimeout = <T>(work: Promise<T>, what: string): Promise<T> =>
  withDeadline(TIMEOUT_MS, work, () => new Error(`${what} took too long`));

/**
 * Finds out whether the broker has the plugin, in the only way that is sure: by declaring its exchange,
 * which is there, once more. A broker without it closes the channel for that, or (RabbitMQ 3) the connection, so it is not
 * the one that all else runs on. Where the exchange is there, the same connection goes on to use it:
 * whatever becomes of the plugin closes this connection and no other. Rejects with the broker's reason
 * where there is none.
 */
export async function connectDelayPlugin(options: Options): Promise<DelayPlugin> {
  const { broker, url, service, onClose } = options;
  const name = { clientProperties: { connection_name: `${service} delay` } };
  const model = await connect(url, { timeout: TIMEOUT_MS, ...name });
  // What a call rejects with is not always why: the broker's own word comes as an event.
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
      // What could not be handed on, as after the queue's end, comes again on another connection.
      if (message) void handOn(channel, message).catch(close);
      else void close();
    });
    channel.on("close", () => void close());
    model.on("close", onClose);
    return channel;
  }

  async function handOn(channel: ConfirmChannel, message: ConsumeMessage): Promise<void> {
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
      // Never `mandatory`: the plugin routes nothing at once, and all would be returned.
      const options = { ...properties, headers, persistent: true };
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      channel.publish(DELAYED_EXCHANGE, immediateKey(service), content, options, (err: unknown) =>
        err ? reject(err) : resolve(),
      );
      return withTimeout(promise, "leaving a message with the plugin");
    },
  };
}
