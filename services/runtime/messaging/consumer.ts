import { setTimeout as sleep } from "node:timers/promises";
import type { ConsumeMessage } from "amqplib";
import { isCrowded } from "../errors.ts";
import type { Log } from "../log.ts";
import { eventCounter } from "../metrics.ts";
import { isBrokerFault, type Broker, type ReceiveMessage } from "./broker/broker.ts";
import { circuitBreaker, type CircuitBreaker } from "./circuit-breaker.ts";
import { fromProperties, type Envelope } from "./topology/envelope.ts";
import type { EventHandler } from "./event-handler.ts";
import {
  Forged,
  forwardFailed,
  Postponed,
  Unreadable,
  Untried,
  type FailureOutcome,
} from "./failed-message.ts";
import { defaultPublishers, publisherOf } from "./topology/ownership.ts";

export { on, required, type EventHandler } from "./event-handler.ts";

interface Options {
  service: string;
  broker: Broker;
  handlers: readonly EventHandler[];
  /** The services that may publish a type; by default its owner. Messages of others are not handled. */
  publishers?: (type: string) => readonly string[];
  log: Log;
  /** Whether an error is a fault of this service that affects every message. It counts as no try. */
  isFault: (error: unknown) => boolean;
  /** Resolves when the fault is over. */
  recovered: () => Promise<void>;
}

const PREFETCH = 32;
/** The first delay after a fault or under contention. It doubles each time, with jitter. */
const FIRST_PAUSE_MS = 100;
/** After this many delays the broker keeps the message, so that others can be handled meanwhile. */
const MAX_ROUNDS = 5;
const FIRST_FORWARD_PAUSE_MS = 1_000;
const LONGEST_FORWARD_PAUSE_MS = 5_000;

/**
 * Consumes a service's queue. A message is acknowledged when its effect is stored. A message that fails
 * is retried with backoff: it waits in a delay queue, so the messages behind it continue. A message that
 * cannot succeed becomes a dead letter with the reason. A fault of the service itself pauses all
 * messages until it is over. A broker that accepts no messages pauses only handlers that publish.
 * Returns the function that stops it.
 */
export async function consume(options: Options): Promise<() => Promise<void>> {
  const consumer = new Consumer(options);
  const cancel = await options.broker.consume(options.service, PREFETCH, consumer.receive);
  return async () => {
    consumer.stop();
    await cancel();
  };
}

class Consumer {
  readonly #options: Options;
  readonly #handlers: ReadonlyMap<string, EventHandler>;
  readonly #stopping = new AbortController();
  readonly #breaker: CircuitBreaker;

  constructor(options: Options) {
    const { log, recovered } = options;
    this.#options = options;
    this.#handlers = new Map(options.handlers.map((handler) => [handler.type, handler]));
    this.#breaker = circuitBreaker({ log, recovered, stopping: this.#stopping.signal });
  }

  stop(): void {
    this.#stopping.abort();
  }

  readonly receive: ReceiveMessage = async (message, acks, channelClosed) => {
    const isSettled = await this.#settle(message, channelClosed).then(
      () => true,
      () => false,
    );
    if (channelClosed.aborted) return;
    if (isSettled) acks.ack(message);
    else acks.nack(message);
  };

  /** Handles a message or forwards it. Rejects if the broker must deliver it again. */
  async #settle(message: ConsumeMessage, channelClosed: AbortSignal): Promise<void> {
    const { service, log } = this.#options;
    const envelope = fromProperties(message.properties);
    const { type, subject } = envelope;
    // The service's own delayed messages are no news.
    const level = envelope.source === service ? "debug" : "info";
    try {
      await this.#handle(message, envelope, channelClosed);
      this.#count("handled", type);
      log[level]({ event: "received", type, id: subject }, `received ${type} ${subject}`);
    } catch (error) {
      if (error instanceof Untried) throw error;
      const alarm = error instanceof Forged && { alarm: true };
      log.error({ err: error, type, id: subject, ...alarm }, `failed ${type} ${subject}`);
      if (this.#handlers.get(type)?.isRequestedAgain) return;
      this.#count(await this.#forward(message, error as Error, channelClosed), type);
    }
  }

  async #handle(
    message: ConsumeMessage,
    envelope: Envelope,
    channelClosed: AbortSignal,
  ): Promise<void> {
    const handler = this.#handlers.get(envelope.type);
    if (!handler) throw this.#unhandled(message, envelope);
    this.#requireAllowedPublisher(message, envelope);
    const event = decode(handler, message);
    for (let round = 0; ; round += 1) {
      if (!(await this.#breaker.untilClosed())) throw new Untried("stopped while a fault lasts");
      if (channelClosed.aborted) throw new Untried("the channel is closed");
      try {
        await handler.handle(event);
        return this.#breaker.recordSuccess();
      } catch (error) {
        await this.#pauseAfter(error, round, channelClosed);
      }
    }
  }

  /**
   * The failure of a message without a handler. An event of its type's owner is retried, because an instance
   * of a newer version may handle it: all instances share one queue.
   */
  #unhandled({ properties }: ConsumeMessage, { type }: Envelope): Error {
    const { service, publishers = defaultPublishers } = this.#options;
    const isOwned = publishers(type).includes(publisherOf(properties, service) ?? "");
    const reason = `no handler for the type "${type}"`;
    return isOwned ? new Error(reason) : new Unreadable(reason);
  }

  /** Waits before the next attempt. Throws if the error is the message's own, or after several attempts. */
  async #pauseAfter(error: unknown, round: number, channelClosed: AbortSignal): Promise<void> {
    // The broker has taken the message back.
    if (channelClosed.aborted) throw new Untried("the channel is closed", { cause: error });
    const isServiceFault = this.#options.isFault(error);
    const isUnpublished = isBrokerFault(error);
    if (!isServiceFault && !isUnpublished && !isCrowded(error)) throw error;
    if (isUnpublished) await this.#untilBrokerAccepts(channelClosed);
    if (round === MAX_ROUNDS) throw new Postponed((error as Error).message, { cause: error });
    if (isServiceFault) this.#breaker.recordFailure(error);
    await sleep(FIRST_PAUSE_MS * 2 ** round * (0.5 + Math.random()));
  }

  /** Only handlers that publish wait for a broker that accepts messages. */
  async #untilBrokerAccepts(channelClosed: AbortSignal): Promise<void> {
    const ending = this.#ending(channelClosed);
    while (!this.#options.broker.connected && !ending.aborted) await sleep(FIRST_PAUSE_MS);
    if (ending.aborted) throw new Untried("ended while the broker accepted no messages");
  }

  /** The service's own messages are allowed: they were checked when they first came. */
  #requireAllowedPublisher({ properties }: ConsumeMessage, { type }: Envelope): void {
    const { service, publishers = defaultPublishers } = this.#options;
    const publisher = publisherOf(properties, service);
    if (publisher === service || publishers(type).includes(publisher ?? "")) return;
    throw new Forged(`forged: published by ${publisher ?? "nobody known"}`);
  }

  /** Forwards a failed message, however long it takes: returned to the queue, it would come back at once. */
  async #forward(
    message: ConsumeMessage,
    error: Error,
    channelClosed: AbortSignal,
  ): Promise<FailureOutcome> {
    const { broker, service, log } = this.#options;
    const ending = this.#ending(channelClosed);
    for (
      let pause = FIRST_FORWARD_PAUSE_MS;
      ;
      pause = Math.min(pause * 2, LONGEST_FORWARD_PAUSE_MS)
    ) {
      try {
        return await forwardFailed(broker, service, message, error);
      } catch (err) {
        if (ending.aborted) throw new Untried("not forwarded");
        log.error({ err: (err as Error).message }, "a failed message cannot be forwarded yet");
        await sleep(pause, undefined, { signal: ending }).catch(() => undefined);
      }
    }
  }

  /** Unknown types share one label: each would be a time series of its own. */
  #count(outcome: string, type: string): void {
    eventCounter.inc({ outcome, type: this.#handlers.has(type) ? type : "unknown" });
  }

  #ending(channelClosed: AbortSignal): AbortSignal {
    return AbortSignal.any([this.#stopping.signal, channelClosed]);
  }
}

function decode(handler: EventHandler, { content }: ConsumeMessage): unknown {
  try {
    return handler.decode(content);
  } catch (cause) {
    throw new Unreadable("the body cannot be decoded", { cause });
  }
}
