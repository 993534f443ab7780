import type { Model } from "mongoose";
import type { AggregateFields, OutboxEntry } from "../store/aggregate.ts";
import { backoff } from "../backoff.ts";
import type { Broker } from "./broker.ts";
import { toProperties } from "./envelope.ts";
import { smallestIdAt } from "../store/ids.ts";
import type { Log } from "../log.ts";
import { eventCounter } from "../metrics.ts";
import { EVENTS_EXCHANGE, hasSubscriber, type Subscriptions } from "./topology.ts";

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

/** How many aggregates are published at once, each with a hundred events at most. */
const BATCH = 64;
/** How many ids are remembered. The database knows all of them, and the sweep finds the others. */
const CAPACITY = 1_000;
const SWEEP_MS = 2_000;
/** Younger events are in the hands of the instance that saved them. */
const SETTLED_MS = 2_000;

/** An aggregate with events that wait, as stored. */
interface Waiting {
  _id: string;
  outbox: OutboxEntry[];
}

/** Which events of an aggregate the broker has safe, and why not all of them. */
interface Outcome {
  id: string;
  safe: string[];
  failure: unknown;
}

/**
 * One loop publishes recorded events in batches and takes them out once the broker has them safe: at
 * least once, never lost. A save rings the bell with its id, so that the event goes out at once. That
 * is only a hint: what is remembered here may be forgotten, because a sweep finds in the database
 * whatever a crash, an absent broker or a full memory has left. What the broker refuses stays, and is
 * tried again after growing pauses. The events of one aggregate go in their order, as a courtesy: no
 * consumer may need it.
 */
export function relay<F extends AggregateFields>(model: Model<F>, options: Options): Relay {
  const { broker, log } = options;
  const collection = model.collection;
  const publish = publisher(options);
  const refused = backoff({ capacity: CAPACITY });
  const saved = new Set<string>();
  let sweepFrom: "all" | "settled" | undefined = "all";
  let closed = false;
  let bell = Promise.withResolvers<void>();

  async function publishAll({ _id: id, outbox }: Waiting): Promise<Outcome> {
    const sent = await Promise.allSettled(outbox.map((entry) => publish(id, entry)));
    const safe = outbox.filter((_, i) => sent[i]?.status === "fulfilled").map(({ _id }) => _id);
    const failure = sent.find((result) => result.status === "rejected")?.reason as unknown;
    return { id, safe, failure };
  }

  function learn({ id, failure }: Outcome): void {
    if (failure === undefined) return refused.succeeded(id);
    if (!broker.connected) return remember(id); // The broker is away, and the event is not to blame.
    refused.failed(id);
    log.warn({ err: (failure as Error).message, id }, "events not published; they stay");
  }

  async function drain(ids: readonly string[]): Promise<void> {
    const found = collection.find<Waiting>(
      { _id: { $in: ids as never[] }, "outbox._id": { $exists: true } },
      { projection: { outbox: 1 }, promoteBuffers: true },
    );
    const outcomes = await Promise.all((await found.toArray()).map(publishAll));
    const pulls = outcomes.filter(({ safe }) => safe.length > 0);
    if (pulls.length > 0) {
      const updates = pulls.map(({ id, safe }) => ({
        updateOne: { filter: { _id: id }, update: { $pull: { outbox: { _id: { $in: safe } } } } },
      }));
      await collection.bulkWrite(updates as never, { ordered: false });
    }
    outcomes.forEach(learn);
  }

  async function drainSaved(): Promise<void> {
    while (broker.connected && saved.size > 0) {
      const ids = [...saved].slice(0, BATCH);
      for (const id of ids) saved.delete(id);
      await drain(ids);
    }
  }

  /** What was saved meanwhile goes first: it does not wait behind all that an outage has left. */
  async function sweep(before: string): Promise<void> {
    const left = collection.find<{ _id: string }>(
      { "outbox._id": { $lt: before } },
      { projection: { _id: 1 }, batchSize: BATCH },
    );
    let ids: string[] = [];
    const drainFound = async (): Promise<void> => {
      await drain(ids);
      ids = [];
      await drainSaved();
    };
    for await (const { _id: id } of left) {
      if (closed || !broker.connected) return;
      if (!refused.isResting(id)) ids.push(id);
      if (ids.length === BATCH) await drainFound();
    }
    if (ids.length > 0) await drainFound();
  }

  async function pass(): Promise<void> {
    await drainSaved();
    if (!sweepFrom || !broker.connected) return;
    const before = sweepFrom === "all" ? "~" : smallestIdAt(Date.now() - SETTLED_MS);
    sweepFrom = undefined;
    await sweep(before);
  }

  async function run(): Promise<void> {
    while (!closed) {
      await bell.promise;
      bell = Promise.withResolvers();
      await pass().catch((err: unknown) => {
        log.warn(
          { err: (err as Error).message },
          "outboxes could not be drained; the sweep goes on",
        );
      });
    }
  }

  function remember(id: string): void {
    if (saved.size < CAPACITY) saved.add(id);
  }
  const onSaved = (id: string): void => {
    remember(id);
    bell.resolve();
  };
  const startSweep = (from: "all" | "settled"): void => {
    if (sweepFrom !== "all") sweepFrom = from;
    bell.resolve();
  };

  model.events.on("saved", onSaved);
  broker.onConnect(() => startSweep("all"));
  const timer = setInterval(startSweep, SWEEP_MS, "settled");
  bell.resolve();
  const running = run();
  return {
    async close() {
      clearInterval(timer);
      model.events.off("saved", onSaved);
      closed = true;
      bell.resolve();
      await running;
      // What the last calls recorded goes out now, while there is a broker; else at the next start.
      await drainSaved().catch(() => undefined);
    },
  };
}

/** Publishes one event of a service, and counts how that went. */
function publisher({ service, broker, subscriptions, log, before }: Options) {
  return async (subject: string, { _id: id, type, time, payload }: OutboxEntry): Promise<void> => {
    const envelope = { id, type, time, subject, source: service };
    const mandatory = hasSubscriber(subscriptions, type);
    await before?.(type, payload);
    await broker
      .publish(EVENTS_EXCHANGE, type, payload, { ...toProperties(envelope), mandatory })
      .catch((error: unknown) => {
        eventCounter.inc({ outcome: "refused", type });
        throw error;
      });
    eventCounter.inc({ outcome: "published", type });
    log.info({ event: "published", type, id: subject }, `published ${type} ${subject}`);
  };
}
