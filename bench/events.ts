import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { connect, type ConfirmChannel } from "amqplib";
import { connectBroker } from "#runtime/broker.ts";
import { toProperties } from "#runtime/envelope.ts";
import { consume, on } from "#runtime/events.ts";
import { newId } from "#runtime/ids.ts";
import { createLog } from "#runtime/log.ts";
import { startParts } from "#stack/parts.ts";

// `npm run bench -- events`: so many events through one consumer of ours, beside the same messages
// taken by the bare library from the same broker, in turns, in the same run.

const EVENTS = 20_000;
const ROUNDS = 3;
/** The consumer's own, so that both ask the broker for the same. */
const PREFETCH = 32;
/** What a process may grow by while all of them pass through: of events it holds only the prefetched. */
const BOUND_MB = 64;

const service = "bench";
const subscriptions = { [service]: [StringValueSchema] };
const log = createLog(service, "silent");

interface Result {
  perSecond: number;
  cpuMicros: number;
  grewMb: number;
}

/** An event as it lies in a queue, about as large as one of an order. */
function event(i: number): { content: Buffer; properties: ReturnType<typeof toProperties> } {
  const value = `${i} `.padEnd(250, "x");
  return {
    content: Buffer.from(toBinary(StringValueSchema, create(StringValueSchema, { value }))),
    properties: toProperties({
      id: newId(),
      type: StringValueSchema.typeName,
      source: service,
      subject: newId(),
      time: new Date(),
    }),
  };
}

/** Puts all of them into the queue, so that only the taking is measured. */
async function fill(channel: ConfirmChannel): Promise<void> {
  for (let i = 0; i < EVENTS; i += 1) {
    const { content, properties } = event(i);
    channel.sendToQueue(service, content, { persistent: true, ...properties });
    if (i % 1_000 === 999) await channel.waitForConfirms();
  }
}

/** Runs until `take` has had every event, and says what that cost this process. */
async function measure(take: (seen: () => void) => Promise<() => Promise<void>>): Promise<Result> {
  globalThis.gc?.();
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

const median = (numbers: number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

function report(name: string, results: Result[]): void {
  const of = (key: keyof Result) => results.map((result) => result[key]);
  const perSecond = Math.round(median(of("perSecond"))).toLocaleString("en");
  const cpu = Math.round(median(of("cpuMicros")));
  const grew = Math.max(...of("grewMb")).toFixed(0);
  console.log(
    `${name.padEnd(18)} ${perSecond.padStart(8)} events/s ${String(cpu).padStart(6)} CPU µs each` +
      `   grew by at most ${grew} MB`,
  );
}

const dir = await mkdtemp(join(tmpdir(), "ticketing-bench-"));
const parts = await startParts({ dir, services: [service], log: () => undefined });
try {
  const url = parts.amqpUrl(service);
  const broker = await connectBroker({ url, name: service, subscriptions, log });
  const raw = await connect(url, { noDelay: true });
  const filling = await raw.createConfirmChannel();

  const ours = (seen: () => void): Promise<() => Promise<void>> =>
    consume({
      service,
      broker,
      handlers: [on(StringValueSchema, () => Promise.resolve(seen()))],
      log,
      isFault: () => false,
      recovered: () => Promise.resolve(),
    });

  async function bare(seen: () => void): Promise<() => Promise<void>> {
    const channel = await raw.createChannel();
    await channel.prefetch(PREFETCH);
    await channel.consume(service, (message) => {
      if (!message) return;
      channel.ack(message);
      seen();
    });
    return () => channel.close();
  }

  const results = { bare: [] as Result[], ours: [] as Result[] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [name, take] of Object.entries({ bare, ours })) {
      await fill(filling);
      const result = await measure(take);
      if (round > 0) results[name as keyof typeof results].push(result); // The first warms up.
    }
  }
  console.log(`${EVENTS.toLocaleString("en")} events, one consumer, median of ${ROUNDS} rounds`);
  report("bare amqplib", results.bare);
  report("our consumer", results.ours);
  const ratio =
    median(results.ours.map((one) => one.perSecond)) /
    median(results.bare.map((one) => one.perSecond));
  const grew = Math.max(...results.ours.map((one) => one.grewMb));
  console.log(
    `ratio ${ratio.toFixed(2)}; memory bound ${BOUND_MB} MB ${grew <= BOUND_MB ? "held" : "BROKEN"}`,
  );
  process.exitCode = grew <= BOUND_MB ? 0 : 1;
  await raw.close();
  await broker.close();
} finally {
  await parts.stop();
  await rm(dir, { recursive: true, force: true });
}
