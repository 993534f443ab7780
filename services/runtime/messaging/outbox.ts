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

/** What became of the events of one aggregate: `failure` says why not all of them were published. */
export interface OutboxResult {
  id: string;
  failure: unknown;
}

/** An aggregate with events to publish, as stored. */
interface Outbox {
  _id: string;
  outbox: OutboxEntry[];
}

/** Publishes one event of a service and counts the outcome. */
function eventPublisher({ service, broker, subscriptions, log, before }: OutboxOptions) {
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

/**
 * Publishes the events of these aggregates, and then removes the confirmed ones in one bulk write. The
 * events of one aggregate are sent in their order, but no consumer may rely on that.
 */
export function outboxPublisher<F extends AggregateFields>(
  model: AggregateModel<F>,
  options: OutboxOptions,
): (ids: readonly string[]) => Promise<OutboxResult[]> {
  const { collection } = model;
  const publish = eventPublisher(options);

  async function publishAll({ _id: id, outbox }: Outbox) {
    const results = await Promise.allSettled(outbox.map((entry) => publish(id, entry)));
    const confirmed = outbox.filter((_, i) => results[i]?.status === "fulfilled");
    const failed = results.find((result) => result.status === "rejected");
    return { id, confirmed: confirmed.map(({ _id }) => _id), failure: failed?.reason as unknown };
  }

  async function remove(published: { id: string; confirmed: string[] }[]): Promise<void> {
    const updates = published
      .filter(({ confirmed }) => confirmed.length > 0)
      .map(({ id, confirmed }) => ({
        updateOne: {
          filter: { _id: id },
          update: { $pull: { outbox: { _id: { $in: confirmed } } } },
        },
      }));
    if (updates.length > 0) await collection.bulkWrite(updates as never, { ordered: false });
  }

  return async (ids) => {
    const found = collection.find<Outbox>(
      { _id: { $in: ids as never[] }, "outbox._id": { $exists: true } },
      { projection: { outbox: 1 }, promoteBuffers: true },
    );
    const published = await Promise.all((await found.toArray()).map(publishAll));
    await remove(published);
    return published;
  };
}
