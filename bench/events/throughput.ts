import type { ChannelModel, ConfirmChannel } from "amqplib";
import type { Broker } from "#runtime/messaging/broker/broker.ts";
import { consume, on } from "#runtime/messaging/consumer.ts";
import type { Log } from "#runtime/log.ts";
import { median } from "../figures.ts";
import { event, EVENT, service } from "./event.ts";

const EVENTS = 20_000;
const ROUNDS = 3;
/** The prefetch of our consumer, so that both get the same from the broker. */
const PREFETCH = 32;
/** The limit on the growth of memory: the process holds only the prefetched messages. */
const BOUND_MB = 64;

interface Result {
  perSecond: number;
  cpuMicros: number;
  grewMb: number;
}

/** Consumes events and calls `seen` for each, until it is stopped. */
type Take = (seen: () => void) => Promise<() => Promise<void>>;

/** Fills the queue first, so that only the consuming is measured. */
async function fill(channel: ConfirmChannel): Promise<void> {
  for (let i = 0; i < EVENTS; i += 1) {
    const { content, properties } = event();
    channel.sendToQueue(service, content, { persistent: true, ...properties });
    if (i % 1_000 === 999) await channel.waitForConfirms();
  }
}

/** Runs until every event was consumed, and returns the cost for this process. */
async function measure(take: Take): Promise<Result> {
  const rss = process.memoryUsage().rss;
  const cpu = process.cpuUsage();
  const begun = performance.now();
  let peak = rss;
  const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
  const { promise: all, resolve } = Promise.withResolvers<void>();
  let count = 0;
  const stop = await take(() => {
    count += 1;
    if (count === EVENTS) resolve();
  });
  await all;
  const seconds = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  clearInterval(watch);
  await stop();
  return {
    perSecond: EVENTS / seconds,
    cpuMicros: (user + system) / EVENTS,
    grewMb: (peak - rss) / 2 ** 20,
  };
}

function report(name: string, results: readonly Result[]): void {
  const of = (key: keyof Result) => results.map((result) => result[key]);
  const perSecond = Math.round(median(of("perSecond"))).toLocaleString("en");
  const cpu = Math.round(median(of("cpuMicros")));
  const grew = Math.max(...of("grewMb")).toFixed(0);
  console.log(
    `  ${name.padEnd(14)} ${perSecond.padStart(8)} events/s ${String(cpu).padStart(5)} CPU µs each` +
      `   grew by at most ${grew} MB`,
  );
}

/**
 * The throughput of one consumer, next to the bare library with the same messages from the same broker,
 * in turns. Returns whether memory stayed within its limit.
 */
export async function throughput(broker: Broker, raw: ChannelModel, log: Log): Promise<boolean> {
  const ours: Take = (seen) =>
    consume({
      ...{ service, broker, log },
      handlers: [on(EVENT, () => Promise.resolve(seen()))],
      isFault: () => false,
      recovered: () => Promise.resolve(),
    });
  const bare: Take = async (seen) => {
    const channel = await raw.createChannel();
    await channel.prefetch(PREFETCH);
    await channel.consume(service, (message) => {
      if (!message) return;
      channel.ack(message);
      seen();
    });
    return () => channel.close();
  };

  const filling = await raw.createConfirmChannel();
  const results = { bare: [] as Result[], ours: [] as Result[] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [name, take] of Object.entries({ bare, ours })) {
      await fill(filling);
      const result = await measure(take);
      if (round > 0) results[name as keyof typeof results].push(result); // The first warms up.
    }
  }
  const speed = (of: Result[]): number => median(of.map(({ perSecond }) => perSecond));
  const grew = Math.max(...results.ours.map(({ grewMb }) => grewMb));
  console.log(`${EVENTS.toLocaleString("en")} events through one consumer, median of ${ROUNDS}`);
  report("bare amqplib", results.bare);
  report("our consumer", results.ours);
  console.log(
    `  ratio ${(speed(results.ours) / speed(results.bare)).toFixed(2)}; ` +
      `memory bound of ${BOUND_MB} MB ${grew <= BOUND_MB ? "held" : "BROKEN"}`,
  );
  return grew <= BOUND_MB;
}
