import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { setTimeout as passing } from "node:timers/promises";
import type { Channel, ConsumeMessage } from "amqplib";
import type { Broker } from "./broker.ts";
import { fromProperties, type Envelope } from "./envelope.ts";
import type { Log } from "./log.ts";
import { deadQueue, type Wait } from "./topology.ts";
import { carriedOn, leaveWaiting } from "./waiting.ts";

/** One type of event, and what a service does about it. */
export interface EventHandler {
  type: string;
  decode(body: Uint8Array): unknown;
  handle(event: unknown): Promise<unknown>;
}

/** Ties what is done to the type of event that it is done about. */
export const on = <D extends DescMessage>(
  schema: D,
  handle: (event: MessageShape<D>) => Promise<unknown>,
): EventHandler => ({
  type: schema.typeName,
  decode: (body) => fromBinary(schema, body),
  handle: handle as (event: unknown) => Promise<unknown>,
});

interface Options {
  service: string;
  broker: Broker;
  handlers: readonly EventHandler[];
  log: Log;
  /** Whether an error is a fault of our own, which is no try of the message's. */
  isFault: (error: unknown) => boolean;
  /** Resolves when the fault is over. */
  recovered: () => Promise<void>;
}

/** The pauses between tries; after the last one a message is dead. */
const PAUSES: readonly Wait[] = [1, 10, 60, 600];
const PREFETCH = 32;
/** After a fault, so that those who waited do not all come back in the same moment. */
const AGAIN_MS = 100;
const TRIES = "x-ticketing-tries";

/** A message that nobody can read: no number of tries helps. */
class Unreadable extends Error {}

/**
 * Reads a service's queue until the stop that it answers. Each message is acknowledged once its
 * effect is stored; one that fails is tried again after growing pauses, in which the broker waits
 * and those behind it go on; a hopeless one goes to the dead letters with the reason.
 */
export async function consume(options: Options): Promise<() => Promise<void>> {
  const { service, broker, log, isFault, recovered } = options;
  const byType = new Map(options.handlers.map((handler) => [handler.type, handler]));

  async function handle(message: ConsumeMessage, envelope: Envelope): Promise<void> {
    const handler = byType.get(envelope.type);
    if (!handler) throw new Unreadable(`no handler for the type "${envelope.type}"`);
    let event: unknown;
    try {
      event = handler.decode(message.content);
    } catch (cause) {
      throw new Unreadable("the body cannot be decoded", { cause });
    }
    for (;;) {
      try {
        return void (await handler.handle(event));
      } catch (error) {
        if (!isFault(error)) throw error;
        log.warn({ err: (error as Error).message }, "waiting until the fault is over");
        await recovered();
        await passing(AGAIN_MS * (0.5 + Math.random()));
      }
    }
  }

  async function sendOn(message: ConsumeMessage, error: Error): Promise<void> {
    const tries = Number(message.properties.headers?.[TRIES] ?? 0) + 1;
    const pause = error instanceof Unreadable ? undefined : PAUSES[tries - 1];
    if (pause !== undefined) {
      const properties = carriedOn(message, { [TRIES]: tries });
      return leaveWaiting(broker, pause, service, { content: message.content, properties });
    }
    const told = { "x-ticketing-reason": error.message, "x-ticketing-origin": service };
    const properties = carriedOn(message, { [TRIES]: tries, ...told });
    const safely = { ...properties, mandatory: true };
    return broker.publish("", deadQueue(service), message.content, safely);
  }

  const sentOn = (message: ConsumeMessage, error: Error): Promise<boolean> =>
    sendOn(message, error).then(
      () => true,
      () => false,
    );

  async function receive(message: ConsumeMessage, channel: Channel): Promise<void> {
    const envelope = fromProperties(message.properties);
    const { type, subject } = envelope;
    // What a service left waiting for itself is not news.
    const level = envelope.source === service ? "debug" : "info";
    try {
      await handle(message, envelope);
      log[level]({ event: "received", type, id: subject }, `received ${type} ${subject}`);
    } catch (error) {
      log.error({ err: error, type, id: subject }, `failed ${type} ${subject}`);
      // Where it cannot even be sent on it goes back to the queue, and nothing is lost.
      if (!(await sentOn(message, error as Error))) return channel.nack(message);
    }
    channel.ack(message);
  }

  return broker.consume(service, PREFETCH, receive);
}
