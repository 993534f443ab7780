import type { Model } from "mongoose";
import type { AggregateFields, OutboxEntry } from "./aggregate.ts";
import type { Broker } from "./broker.ts";
import { toProperties } from "./envelope.ts";
import { lanes } from "./lanes.ts";
import type { Log } from "./log.ts";
import { eventCount } from "./metrics.ts";
import { EVENTS, isHeard, type Subscriptions } from "./topology.ts";

/** Publishes what the aggregates of a collection have recorded. */
export interface Relay {
  close(): Promise<void>;
}

interface Options {
  service: string;
  broker: Broker;
  subscriptions: Subscriptions;
  log: Log;
  /** What must be done first, again and again until it is. */
  before?: ((type: string, payload: Uint8Array) => Promise<void>) | undefined;
}

/**
 * So many aggregates are emptied at once, of at most a hundred events each: what the relay holds in
 * memory. Of so many more it knows the ids; all others wait in the database, for the sweep.
 */
const WIDTH = 32;
const ROOM = 1_000;
const SWEEP_MS = 5_000;

/**
 * Publishes recorded events and takes them out once the broker has them safe: at least once, never
 * lost. A save wakes it; a sweep finds what a crash or an absent broker has left. What the broker
 * refuses stays, and is tried again after growing pauses. The events of one aggregate go in their
 * order, as a courtesy: no consumer may need it.
 */
export function relay<F extends AggregateFields>(model: Model<F>, options: Options): Relay {
  const { service, broker, subscriptions, log, before } = options;
  async function publish(subject: string, entry: OutboxEntry): Promise<void> {
    const { _id: id, type, time, payload } = entry;
    const envelope = { id, type, time, subject, source: service };
    const mandatory = isHeard(subscriptions, type);
    await before?.(type, payload);
    await broker
      .publish(EVENTS, type, payload, { ...toProperties(envelope), mandatory })
      .catch((error: unknown) => {
        eventCount.inc({ outcome: "refused", type });
        throw error;
      });
    eventCount.inc({ outcome: "published", type });
    log.info({ event: "published", type, id: subject }, `published ${type} ${subject}`);
  }

  async function drain(id: string): Promise<void> {
    const found = await model.collection.findOne(
      { _id: id as never },
      { projection: { outbox: 1 }, promoteBuffers: true },
    );
    const entries = (found?.["outbox"] ?? []) as OutboxEntry[];
    if (entries.length === 0) return;
    const sent = await Promise.allSettled(entries.map((entry) => publish(id, entry)));
    const safe = entries.filter((_, i) => sent[i]?.status === "fulfilled").map(({ _id }) => _id);
    const failure = sent.find((result) => result.status === "rejected");
    if (safe.length > 0) {
      const pull = { $pull: { outbox: { _id: { $in: safe } } } };
      await model.collection.updateOne({ _id: id as never }, pull as never);
    }
    if (failure) throw failure.reason;
  }

  const work = lanes(drain, {
    width: WIDTH,
    room: ROOM,
    ready: () => broker.connected,
    onError: (err, id) => {
      log.warn({ err: (err as Error).message, id }, "events not published; they stay");
    },
  });

  let closed = false;
  let sweeping: Promise<void> | undefined;

  /** Goes on as lanes become free, so that it holds nothing itself. */
  async function sweep(): Promise<void> {
    const left = model.collection.find(
      { "outbox._id": { $exists: true } },
      { projection: { _id: 1 }, batchSize: ROOM },
    );
    for await (const { _id } of left) {
      await work.free();
      if (closed || !broker.connected) return;
      if (!work.has(String(_id))) work.wake(String(_id));
    }
  }

  const sweepOnce = (): void => {
    if (closed || !broker.connected) return;
    sweeping ??= sweep()
      .catch((err: unknown) => log.warn({ err: (err as Error).message }, "no sweep"))
      .finally(() => (sweeping = undefined));
  };
  const goOn = (): void => {
    work.next();
    sweepOnce();
  };
  model.events.on("saved", work.wake);
  broker.onConnect(goOn);
  const timer = setInterval(sweepOnce, SWEEP_MS);
  sweepOnce();
  return {
    async close() {
      closed = true;
      clearInterval(timer);
      model.events.off("saved", work.wake);
      await sweeping;
      // What the last calls recorded goes out now, while there is a broker; else at the next start.
      await work.close();
    },
  };
}
