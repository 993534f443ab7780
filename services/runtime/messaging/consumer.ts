import { setTimeout as passing } from "node:timers/promises";
import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { ConsumeMessage } from "amqplib";
import { isBrokerFault, type Broker, type ReceiveMessage } from "./broker.ts";
import { fromProperties, type Envelope } from "./envelope.ts";
import { isCrowded } from "../errors.ts";
import { circuitBreaker } from "./circuit-breaker.ts";
import type { Log } from "../log.ts";
import { eventCounter } from "../metrics.ts";
import { defaultPublishers, ORIGINAL_PUBLISHER, publisherOf } from "./ownership.ts";
import { deadLetterQueue, QUEUES_EXCHANGE, type DelayTier } from "./topology.ts";
import { forwardedProperties, publishDelayed } from "./delay/delayed-message.ts";

/** One type of event, and what a service does about it. */
export interface EventHandler {
  type: string;
  decode(body: Uint8Array): unknown;
  handle(event: unknown): Promise<unknown>;
  /** Whoever needs it asks for it again: one that fails is logged, and neither tried again nor kept. */
  isRequestedAgain?: true;
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

type Outcome = "retried" | "postponed" | "dead";

interface Options {
  service: string;
  broker: Broker;
  handlers: readonly EventHandler[];
  /** Which services may publish a type, its owner if not said; of others nothing is handled. */
  publishers?: (type: string) => readonly string[];
  log: Log;
  /** Whether an error is a fault of our own that concerns all messages, and is no try of theirs. */
  isFault: (error: unknown) => boolean;
  /** Resolves when the fault is over. */
  recovered: () => Promise<void>;
}

/** The pauses between tries; after the last one a message is dead. */
const PAUSES: readonly DelayTier[] = [1, 10, 60, 600];
const PREFETCH = 32;
/** After a fault or in a crowd; doubled each time, and spread, so that those who waited come back apart. */
const AGAIN_MS = 100;
/** After so many of these pauses a message waits with the broker, and leaves its place to others. */
const ROUNDS = 5;
/** How many seconds it waits there, which is no try of its own. */
const POSTPONED: DelayTier = 1;
const TRIES = "x-ticketing-tries";
/** A header has to fit into one frame. */
const LONGEST_REASON = 1_000;
const LONGEST_PAUSE_MS = 5_000;

/** How often a message was tried before; what is no count of ours counts as none. */
function triesOf({ properties }: ConsumeMessage): number {
  const tries: unknown = properties.headers?.[TRIES];
  return typeof tries === "number" && Number.isInteger(tries) && tries > 0 ? tries : 0;
}

/** A message that nobody can read: no number of tries helps. */
class Unreadable extends Error {}

/** A message of somebody who may not send it: somebody has a password that is not theirs. */
class Forged extends Unreadable {}

/** A message that was not handled, and not tried: it belongs to whoever consumes next. */
class Untried extends Error {}

/** A message that is not to blame, and takes up room meanwhile: it comes again, with the tries that it had. */
class Postponed extends Error {}

/**
 * Reads a service's queue until the stop that it answers. Each message is acknowledged once its
 * effect is stored; one that fails is tried again after growing pauses, in which the broker waits
 * and those behind it go on; a hopeless one goes to the dead letters with the reason. A fault of our
 * own stops all of them until it is over; a broker that takes nothing stops only those that publish.
 */
export async function consume(options: Options): Promise<() => Promise<void>> {
  const { service, broker, publishers = defaultPublishers, log, isFault, recovered } = options;
  const byType = new Map(options.handlers.map((handler) => [handler.type, handler]));
  const stopping = new AbortController();
  const gate = circuitBreaker({ log, recovered, stopping: stopping.signal });

  /** What a handler publishes needs a broker that takes it; others need none, and go on meanwhile. */
  async function untilTaken(gone: AbortSignal): Promise<void> {
    const ending = AbortSignal.any([stopping.signal, gone]);
    while (!broker.connected && !ending.aborted) await passing(AGAIN_MS);
    if (ending.aborted) throw new Untried("ended while the broker took nothing");
  }

  /** Our own messages are good: what we sent to ourselves was good when it came. */
  function mustBeGenuine({ properties }: ConsumeMessage, { type }: Envelope): void {
    const publisher = publisherOf(properties, service);
    if (publisher === service || publishers(type).includes(publisher ?? "")) return;
    throw new Forged(`forged: published by ${publisher ?? "nobody known"}`);
  }

  async function handle(
    message: ConsumeMessage,
    envelope: Envelope,
    gone: AbortSignal,
  ): Promise<void> {
    const handler = byType.get(envelope.type);
    if (!handler) throw new Unreadable(`no handler for the type "${envelope.type}"`);
    mustBeGenuine(message, envelope);
    let event: unknown;
    try {
      event = handler.decode(message.content);
    } catch (cause) {
      throw new Unreadable("the body cannot be decoded", { cause });
    }
    for (let round = 0; ; round += 1) {
      if (!(await gate.untilClosed())) throw new Untried("stopped while a fault lasts");
      if (gone.aborted) throw new Untried("no channel");
      try {
        await handler.handle(event);
        return gate.recordSuccess();
      } catch (error) {
        // The broker has taken it back.
        if (gone.aborted) throw new Untried("no channel", { cause: error });
        const isOurs = isFault(error);
        const isNotTaken = isBrokerFault(error);
        if (!isOurs && !isNotTaken && !isCrowded(error)) throw error;
        if (isNotTaken) await untilTaken(gone);
        if (round === ROUNDS) throw new Postponed((error as Error).message, { cause: error });
        if (isOurs) gate.recordFailure(error);
        await passing(AGAIN_MS * 2 ** round * (0.5 + Math.random()));
      }
    }
  }

  /** One type of a stranger's is like the other; each would be a time series of its own. */
  const count = (outcome: string, type: string): void =>
    eventCounter.inc({ outcome, type: byType.has(type) ? type : "unknown" });

  async function sendOn(message: ConsumeMessage, error: Error): Promise<Outcome> {
    const first = { [ORIGINAL_PUBLISHER]: publisherOf(message.properties, service) };
    if (error instanceof Postponed) {
      const properties = forwardedProperties(message, first);
      await publishDelayed(broker, POSTPONED, service, { content: message.content, properties });
      return "postponed";
    }
    const tries = triesOf(message) + 1;
    const pause = error instanceof Unreadable ? undefined : PAUSES[tries - 1];
    if (pause !== undefined) {
      const properties = forwardedProperties(message, { ...first, [TRIES]: tries });
      await publishDelayed(broker, pause, service, { content: message.content, properties });
      return "retried";
    }
    const reason = error.message.slice(0, LONGEST_REASON);
    const told = { "x-ticketing-reason": reason, "x-ticketing-origin": service };
    const properties = {
      ...forwardedProperties(message, { ...first, [TRIES]: tries, ...told }),
      mandatory: true,
    };
    await broker.publish(QUEUES_EXCHANGE, deadLetterQueue(service), message.content, properties);
    return "dead";
  }

  /** Where the broker does not take it, it stays in our hands: given back, it would be here at once. */
  async function surelySendOn(
    message: ConsumeMessage,
    error: Error,
    gone: AbortSignal,
  ): Promise<Outcome> {
    const ending = AbortSignal.any([stopping.signal, gone]);
    for (let pause = 1_000; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        return await sendOn(message, error);
      } catch (err) {
        if (ending.aborted) throw new Untried("not sent on");
        log.error({ err: (err as Error).message }, "a failed message cannot be sent on yet");
        await passing(pause, undefined, { signal: ending }).catch(() => undefined);
      }
    }
  }

  async function settle(message: ConsumeMessage, gone: AbortSignal): Promise<void> {
    const envelope = fromProperties(message.properties);
    const { type, subject } = envelope;
    // What a service left waiting for itself is not news.
    const level = envelope.source === service ? "debug" : "info";
    try {
      await handle(message, envelope, gone);
      count("handled", type);
      log[level]({ event: "received", type, id: subject }, `received ${type} ${subject}`);
    } catch (error) {
      if (error instanceof Untried) throw error;
      const alarm = error instanceof Forged && { alarm: true };
      log.error({ err: error, type, id: subject, ...alarm }, `failed ${type} ${subject}`);
      if (byType.get(type)?.isRequestedAgain) return;
      count(await surelySendOn(message, error as Error, gone), type);
    }
  }

  const receive: ReceiveMessage = async (message, channel, gone) => {
    const handled = await settle(message, gone).then(
      () => true,
      () => false,
    );
    if (gone.aborted) return;
    if (handled) channel.ack(message);
    else channel.nack(message);
  };

  const cancel = await broker.consume(service, PREFETCH, receive);
  return async () => {
    stopping.abort();
    await cancel();
  };
}
