import { setTimeout as sleep } from "node:timers/promises";
import { eventCounter } from "../metrics.ts";
import type { Log } from "../log.ts";
import type { AggregateFields, AggregateModel, OutboxEntry } from "../store/aggregate.ts";
import type { Broker } from "./broker/broker.ts";
import { toProperties } from "./topology/envelope.ts";
import { EVENTS_EXCHANGE, hasSubscriber, type Subscriptions } from "./topology/topology.ts";

export interface OutboxOptions {
  service: string;
  broker: Broker;
  subscriptions: Subscriptions;
  log: Log;
  /** Runs before each event is published. While it fails, the event stays in the outbox. */
  before?: ((type: string, payload: Uint8Array) => Promise<void>) | undefined;
}

/** The events of one aggregate that wait to be published. */
export interface Outbox {
  _id: string;
  outbox: readonly OutboxEntry[];
}

export interface OutboxPublisher {
  /**
   * Publishes the events that are not being published already. Resolves when the broker has confirmed
   * or rejected each of them, with the first error. The confirmed ones are then removed soon.
   */
  publish(this: void, outbox: Outbox): Promise<{ failure: unknown }>;
  /** Removes all confirmed events at once. */
  close(): Promise<void>;
}

/** How long confirmed events are collected before they are removed, in milliseconds. */
const REMOVAL_INTERVAL_MS = 20;
/**
 * A removal waits for one member of the replica set and not for its journal. If it is lost, the sweep
 * publishes the events again, which at-least-once delivery allows.
 */
const UNSAFE = { writeConcern: { w: 1, j: false } } as const;

/**
 * Publishes the events of a model's outboxes. The events of one aggregate are sent in their order, but no
 * consumer may rely on that.
 */
export function outboxPublisher<F extends AggregateFields>(
  model: AggregateModel<F>,
  options: OutboxOptions,
): OutboxPublisher {
  const publishEvent = eventPublisher(options);
  /** The events that are being published or removed: a sweep must not publish them again. */
  const active = new Set<string>();
  const removal = outboxRemoval(model, options.log, active);

  return {
    async publish({ _id: id, outbox }) {
      const entries = outbox.filter((entry) => !active.has(entry._id));
      for (const entry of entries) active.add(entry._id);
      const results = await Promise.allSettled(entries.map((entry) => publishEvent(id, entry)));
      let failure: unknown;
      for (const [i, { _id: entryId }] of entries.entries()) {
        const result = results[i];
        if (result?.status === "fulfilled") removal.add(id, entryId);
        else {
          failure ??= result?.reason;
          active.delete(entryId);
        }
      }
      return { failure };
    },
    close: removal.close,
  };
}

/** Publishes one event of a service and counts the outcome. */
function eventPublisher({ service, broker, subscriptions, log, before }: OutboxOptions) {
  return async (subject: string, { _id: id, type, time, payload }: OutboxEntry): Promise<void> => {
    const envelope = { id, type, time, subject, source: service };
    const mandatory = hasSubscriber(subscriptions, type);
    if (before) await before(type, payload);
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

/** Removes confirmed events from their outboxes, many in one write. */
function outboxRemoval<F extends AggregateFields>(
  { collection }: AggregateModel<F>,
  log: Log,
  active: Set<string>,
) {
  let confirmed = new Map<string, string>();
  let running: Promise<void> | undefined;
  const closing = new AbortController();

  async function remove(events: ReadonlyMap<string, string>): Promise<void> {
    const ids = [...new Set(events.values())];
    const change = { $pull: { outbox: { _id: { $in: [...events.keys()] } } } };
    // The last write waits for a majority, so that the next start finds nothing to publish again.
    const concern = closing.signal.aborted ? {} : UNSAFE;
    await collection
      .updateMany({ _id: { $in: ids as never[] } }, change as never, concern)
      .catch((err: unknown) =>
        log.warn({ err: (err as Error).message }, "published events not removed; they come again"),
      );
    for (const entryId of events.keys()) active.delete(entryId);
  }

  async function run(): Promise<void> {
    while (confirmed.size > 0) {
      await sleep(REMOVAL_INTERVAL_MS, undefined, { signal: closing.signal }).catch(
        () => undefined,
      );
      const events = confirmed;
      confirmed = new Map();
      await remove(events);
    }
    running = undefined;
  }

  return {
    add(id: string, entryId: string): void {
      confirmed.set(entryId, id);
      running ??= run();
    },
    async close(): Promise<void> {
      closing.abort();
      await running;
    },
  };
}
