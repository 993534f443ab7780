import { setTimeout as passing } from "node:timers/promises";
import type { ChannelModel } from "amqplib";
import { Schema, type Connection } from "mongoose";
import { onSaved, aggregate, record, type AggregateFields } from "#runtime/store/aggregate.ts";
import type { Broker } from "#runtime/messaging/broker/broker.ts";
import { consume, on } from "#runtime/messaging/consumer.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import type { Log } from "#runtime/log.ts";
import { relay } from "#runtime/messaging/relay.ts";
import { percentile } from "../figures.ts";
import { event, EVENT, service, subscriptions, VALUE } from "./event.ts";

const PER_SECOND = 200;
const SECONDS = 10;

/** Starts a task at a fixed rate per second, and waits for all of them. */
async function steadily(work: (i: number) => Promise<unknown>): Promise<void> {
  const begun = performance.now();
  const all: Promise<unknown>[] = [];
  for (let i = 0; i < PER_SECOND * SECONDS; i += 1) {
    const wait = begun + (i * 1000) / PER_SECOND - performance.now();
    if (wait > 0) await passing(wait);
    all.push(work(i));
  }
  await Promise.all(all);
}

/** The time from the publish until the bare library receives the message, in milliseconds. */
async function publishToConsume(raw: ChannelModel): Promise<number[]> {
  const channel = await raw.createConfirmChannel();
  const sent = new Map<string, number>();
  const took: number[] = [];
  await channel.consume(service, (message) => {
    if (!message) return;
    took.push(performance.now() - (sent.get(String(message.properties.messageId)) ?? NaN));
    channel.ack(message);
  });
  await steadily(async () => {
    const { content, properties } = event();
    sent.set(String(properties.messageId), performance.now());
    channel.sendToQueue(service, content, { persistent: true, ...properties });
  });
  await channel.waitForConfirms();
  while (took.length < sent.size) await passing(10);
  await channel.close();
  return took;
}

/** The time from the response of a save until the consumer has stored its replica, in milliseconds. */
async function saveToCopy(db: Connection, broker: Broker, log: Log): Promise<number[]> {
  const schema = new Schema<AggregateFields>({});
  aggregate(schema);
  const things = db.model("Thing", schema);
  await buildIndexes(things);
  const copies = db.collection<{ _id: string; value: string }>("copies");
  const saved = new Map<string, number>();
  const stored = new Map<string, number>();
  const outbox = relay(things, { service, broker, subscriptions, log });
  onSaved(things, outbox.enqueue);
  const stop = await consume({
    ...{ service, broker, log },
    handlers: [
      on(EVENT, async ({ value }) => {
        const [_id = ""] = value.split(" ");
        await copies.updateOne({ _id }, { $set: { value } }, { upsert: true });
        stored.set(_id, performance.now());
      }),
    ],
    isFault: () => false,
    recovered: () => Promise.resolve(),
  });
  await steadily(async () => {
    const thing = new things();
    record(thing, EVENT, () => ({ value: `${thing._id} ${VALUE}` }));
    await thing.save();
    saved.set(thing._id, performance.now());
  });
  while (stored.size < saved.size) await passing(10);
  await stop();
  await outbox.close();
  return [...saved].map(([id, at]) => Math.max(0, (stored.get(id) ?? NaN) - at));
}

/** The latency of events at a fixed rate of changes, next to the bare broker at the same rate. */
export async function latency(
  db: Connection,
  broker: Broker,
  raw: ChannelModel,
  log: Log,
): Promise<void> {
  const bare = await publishToConsume(raw);
  const ours = await saveToCopy(db, broker, log);
  const line = (name: string, took: number[]): string => {
    const [half, most] = [percentile(took, 0.5), percentile(took, 0.99)];
    return `  ${name.padEnd(46)} p50 ${half.toFixed(1)} ms   p99 ${most.toFixed(1)} ms`;
  };
  console.log(`${PER_SECOND} changes a second, for ${SECONDS} s`);
  console.log(line("bare amqplib, from publish to consume", bare));
  console.log(line("ours, from the save's answer to the stored copy", ours));
  console.log(
    `  ratio of the medians ${(percentile(ours, 0.5) / percentile(bare, 0.5)).toFixed(1)}`,
  );
}
