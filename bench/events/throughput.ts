import type { ConfirmChannel } from "amqplib";
import { consume, on } from "#runtime/messaging/consumer.ts";
import type { Outcome } from "../load/load.ts";
import { event, EVENT, service } from "./event.ts";
import type { EventParts } from "./parts.ts";

// One consumer with a full queue: how many events it takes per second, and what each costs.

/** The prefetch of our consumer, so that both get the same from the broker. */
const PREFETCH = 32;
/** The limit on the growth of memory: the process holds only the prefetched messages. */
const BOUND_MB = 64;
const MB = 2 ** 20;
const CONFIRM_EVERY = 1_000;

/** Consumes events and calls `seen` for each, until it is stopped. */
type Consume = (seen: () => void) => Promise<() => Promise<void>>;

/** Fills the queue first, so that only the consuming is measured. */
export async function fill(channel: ConfirmChannel, count: number): Promise<void> {
  for (let i = 1; i <= count; i += 1) {
    const { content, properties } = event();
    channel.sendToQueue(service, content, { persistent: true, ...properties });
    if (i % CONFIRM_EVERY === 0) await channel.waitForConfirms();
  }
  await channel.waitForConfirms();
}

/** Runs until that many events were consumed. Memory that grows beyond its limit is a failure. */
export async function consumeAll(start: Consume, count: number): Promise<Outcome> {
  const rss = process.memoryUsage().rss;
  let peak = rss;
  const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
  const { promise: all, resolve } = Promise.withResolvers<void>();
  const latenciesMs: number[] = [];
  const begun = performance.now();
  const stop = await start(() => {
    latenciesMs.push(performance.now() - begun);
    if (latenciesMs.length === count) resolve();
  });
  await all;
  const seconds = (performance.now() - begun) / 1000;
  clearInterval(watch);
  await stop();
  const grewMb = Math.round((peak - rss) / MB);
  const failures = grewMb > BOUND_MB ? { [`memory grew by ${grewMb} MiB`]: 1 } : {};
  return { seconds, latenciesMs, failures };
}

export const ourConsumer =
  ({ broker, log }: EventParts): Consume =>
  (seen) =>
    consume({
      service,
      broker,
      log,
      handlers: [on(EVENT, () => Promise.resolve(seen()))],
      isFault: () => false,
      recovered: () => Promise.resolve(),
    });

export const bareConsumer =
  ({ raw }: EventParts): Consume =>
  async (seen) => {
    const channel = await raw.createChannel();
    await channel.prefetch(PREFETCH);
    await channel.consume(service, (message) => {
      if (!message) return;
      channel.ack(message);
      seen();
    });
    return () => channel.close();
  };
