import { setTimeout as sleep } from "node:timers/promises";
import { consume, on } from "#runtime/messaging/consumer.ts";
import { relay } from "#runtime/messaging/relay.ts";
import { onSaved, record } from "#runtime/store/aggregate.ts";
import { drive } from "../load/driver.ts";
import type { Arrivals, Outcome } from "../load/load.ts";
import { event, EVENT, service, subscriptions, VALUE } from "./event.ts";
import type { EventParts } from "./parts.ts";

// How long after a change others know of it, at a fixed rate of changes.

const POLL_MS = 10;

/** The time between two events of the same key, for all keys of `later`. */
function outcomeOf(
  earlier: ReadonlyMap<string, number>,
  later: ReadonlyMap<string, number>,
): Outcome {
  // The response of a save can arrive after its event, which then took no time.
  const latenciesMs = [...later].map(([id, at]) => Math.max(0, at - (earlier.get(id) ?? NaN)));
  const seconds = (Math.max(...later.values()) - Math.min(...earlier.values())) / 1000;
  return { seconds, latenciesMs, failures: {} };
}

/** The time from the publish until the bare library receives the message. */
export async function publishToConsume(
  { raw }: EventParts,
  count: number,
  arrivals: Arrivals,
): Promise<Outcome> {
  const channel = await raw.createConfirmChannel();
  const sent = new Map<string, number>();
  const received = new Map<string, number>();
  await channel.consume(service, (message) => {
    if (!message) return;
    received.set(String(message.properties.messageId), performance.now());
    channel.ack(message);
  });
  const publish = async (): Promise<void> => {
    const { content, properties } = event();
    sent.set(String(properties.messageId), performance.now());
    channel.sendToQueue(service, content, { persistent: true, ...properties });
  };
  await drive(Array.from({ length: count }), publish, arrivals);
  await channel.waitForConfirms();
  while (received.size < sent.size) await sleep(POLL_MS);
  await channel.close();
  return outcomeOf(sent, received);
}

/** The time from the response of a save until the consumer has stored its replica. */
export async function saveToCopy(
  { db, things, broker, log }: EventParts,
  count: number,
  arrivals: Arrivals,
): Promise<Outcome> {
  const copies = db.collection<{ _id: string; value: string }>("copies");
  const saved = new Map<string, number>();
  const stored = new Map<string, number>();
  const outbox = relay(things, { service, broker, subscriptions, log });
  onSaved(things, outbox.enqueue);
  const stop = await consume({
    service,
    broker,
    log,
    handlers: [
      on(EVENT, async ({ orderId: value }) => {
        const [_id = ""] = value.split(" ");
        await copies.updateOne({ _id }, { $set: { value } }, { upsert: true });
        stored.set(_id, performance.now());
      }),
    ],
    isFault: () => false,
    recovered: () => Promise.resolve(),
  });
  const save = async (): Promise<void> => {
    const thing = new things();
    record(thing, EVENT, () => ({ orderId: `${thing._id} ${VALUE}` }));
    await thing.save();
    saved.set(thing._id, performance.now());
  };
  await drive(Array.from({ length: count }), save, arrivals);
  while (stored.size < saved.size) await sleep(POLL_MS);
  await stop();
  await outbox.close();
  return outcomeOf(saved, stored);
}
