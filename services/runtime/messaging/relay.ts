import { backoff } from "../backoff.ts";
import type { AggregateFields, AggregateModel } from "../store/aggregate.ts";
import { smallestIdAt } from "../store/ids.ts";
import { outboxPublisher, type OutboxOptions, type OutboxResult } from "./outbox.ts";

/** Publishes the events that the aggregates of a collection have recorded. */
export interface Relay {
  /** Publishes the events of this aggregate soon. */
  enqueue(this: void, id: string): void;
  close(): Promise<void>;
}

/** How many aggregates are published at once; each has at most a hundred events. */
const BATCH_SIZE = 64;
/** How many IDs are kept in memory. The sweep finds the others in the database. */
const CAPACITY = 1_000;
const SWEEP_INTERVAL_MS = 2_000;
/** The sweep skips younger events: the instance that saved them is about to publish them. */
const SETTLED_AFTER_MS = 2_000;
/** Greater than every ID. */
const AFTER_ALL_IDS = "~";

/**
 * Publishes events at least once: an event leaves the outbox only when the broker has confirmed it. A
 * save enqueues its ID, so that its event is published at once. The queue is only a hint and may forget
 * IDs: a sweep finds in the database whatever a crash, an unavailable broker or a full queue has left.
 * An event that the broker rejects stays and is retried with backoff.
 */
export function relay<F extends AggregateFields>(
  model: AggregateModel<F>,
  options: OutboxOptions,
): Relay {
  return new OutboxRelay(model, options);
}

class OutboxRelay<F extends AggregateFields> implements Relay {
  readonly #model: AggregateModel<F>;
  readonly #options: OutboxOptions;
  readonly #publish: (ids: readonly string[]) => Promise<OutboxResult[]>;
  readonly #rejected = backoff({ capacity: CAPACITY });
  readonly #queue = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  readonly #running: Promise<void>;
  #pendingSweep: "all" | "settled" | undefined = "all";
  #wakeUp = Promise.withResolvers<void>();
  #closed = false;

  constructor(model: AggregateModel<F>, options: OutboxOptions) {
    this.#model = model;
    this.#options = options;
    this.#publish = outboxPublisher(model, options);
    options.broker.onConnect(() => this.#requestSweep("all"));
    this.#timer = setInterval(() => this.#requestSweep("settled"), SWEEP_INTERVAL_MS);
    this.#wakeUp.resolve();
    this.#running = this.#run();
  }

  readonly enqueue = (id: string): void => {
    if (this.#closed) return;
    this.#remember(id);
    this.#wakeUp.resolve();
  };

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closed = true;
    this.#wakeUp.resolve();
    await this.#running;
    // Publishes what the last calls recorded. Without a broker, the next start does.
    await this.#drainQueue().catch(() => undefined);
  }

  #requestSweep(from: "all" | "settled"): void {
    if (this.#pendingSweep !== "all") this.#pendingSweep = from;
    this.#wakeUp.resolve();
  }

  #remember(id: string): void {
    if (this.#queue.size < CAPACITY) this.#queue.add(id);
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      await this.#wakeUp.promise;
      this.#wakeUp = Promise.withResolvers();
      await this.#pass().catch((err: unknown) => {
        const { message } = err as Error;
        this.#options.log.warn(
          { err: message },
          "outboxes could not be drained; the sweep goes on",
        );
      });
    }
  }

  async #pass(): Promise<void> {
    await this.#drainQueue();
    if (!this.#pendingSweep || !this.#options.broker.connected) return;
    const isAll = this.#pendingSweep === "all";
    this.#pendingSweep = undefined;
    await this.#sweep(isAll ? AFTER_ALL_IDS : smallestIdAt(Date.now() - SETTLED_AFTER_MS));
  }

  async #drainQueue(): Promise<void> {
    while (this.#options.broker.connected && this.#queue.size > 0) {
      const ids = [...this.#queue].slice(0, BATCH_SIZE);
      for (const id of ids) this.#queue.delete(id);
      await this.#drain(ids);
    }
  }

  /** Drains the queue after each batch: new events do not wait behind the backlog of an outage. */
  async #sweep(before: string): Promise<void> {
    const found = this.#model.collection.find<{ _id: string }>(
      { "outbox._id": { $lt: before } },
      { projection: { _id: 1 }, batchSize: BATCH_SIZE },
    );
    let ids: string[] = [];
    const drainBatch = async (): Promise<void> => {
      await this.#drain(ids);
      ids = [];
      await this.#drainQueue();
    };
    for await (const { _id: id } of found) {
      if (this.#closed || !this.#options.broker.connected) return;
      if (!this.#rejected.isResting(id)) ids.push(id);
      if (ids.length === BATCH_SIZE) await drainBatch();
    }
    if (ids.length > 0) await drainBatch();
  }

  async #drain(ids: readonly string[]): Promise<void> {
    for (const result of await this.#publish(ids)) this.#learn(result);
  }

  #learn({ id, failure }: OutboxResult): void {
    if (failure === undefined) return this.#rejected.succeeded(id);
    // Without a broker the event itself is not at fault.
    if (!this.#options.broker.connected) return this.#remember(id);
    this.#rejected.failed(id);
    const { message } = failure as Error;
    this.#options.log.warn({ err: message, id }, "events not published; they stay");
  }
}
