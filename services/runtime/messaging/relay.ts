import { backoff } from "../backoff.ts";
import { runWithoutDeadline } from "../call-deadline.ts";
import type { AggregateFields, AggregateModel, OutboxEntry } from "../store/aggregate.ts";
import { smallestIdAt } from "../store/ids.ts";
import {
  outboxPublisher,
  type Outbox,
  type OutboxOptions,
  type OutboxPublisher,
} from "./outbox.ts";

/** Publishes the events that the aggregates of a collection have recorded. */
export interface Relay {
  /** Publishes these events of an aggregate at once. They are saved already. */
  enqueue(this: void, id: string, saved: readonly OutboxEntry[]): void;
  close(): Promise<void>;
}

/**
 * How many aggregates are being published at once. A broker confirms many messages together, so this
 * decides the throughput.
 */
const CONCURRENCY = 256;
/** How many aggregates wait in memory. The sweep finds the others in the database. */
const CAPACITY = 1_000;
/** How many aggregates the sweep publishes at once; each has at most a hundred events. */
const SWEEP_BATCH_SIZE = 64;
const SWEEP_INTERVAL_MS = 2_000;
/** The sweep skips younger events: the instance that saved them is about to publish them. */
const SETTLED_AFTER_MS = 2_000;
/** Greater than every ID. */
const AFTER_ALL_IDS = "~";

/**
 * Publishes events at least once: an event leaves the outbox only when the broker has confirmed it. A
 * save enqueues its events, so they are published from memory, at once and without a read. The queue is
 * only a hint and may forget events: a sweep finds in the database whatever a crash, an unavailable broker
 * or a full queue has left. An event that the broker rejects stays and is retried with backoff.
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
  readonly #publisher: OutboxPublisher;
  readonly #rejected = backoff({ capacity: CAPACITY });
  readonly #waiting: Outbox[] = [];
  readonly #publishing = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  readonly #running: Promise<void>;
  #pendingSweep: "all" | "settled" | undefined = "all";
  #wakeUp = Promise.withResolvers<void>();
  #closed = false;

  constructor(model: AggregateModel<F>, options: OutboxOptions) {
    this.#model = model;
    this.#options = options;
    this.#publisher = outboxPublisher(model, options);
    options.broker.onConnect(() => this.#requestSweep("all"));
    this.#timer = setInterval(() => this.#requestSweep("settled"), SWEEP_INTERVAL_MS);
    this.#wakeUp.resolve();
    this.#running = this.#run();
  }

  readonly enqueue = (id: string, saved: readonly OutboxEntry[]): void => {
    // Without a broker, the sweep after the next connect finds them.
    if (this.#closed || saved.length === 0 || !this.#options.broker.connected) return;
    if (this.#waiting.length >= CAPACITY) return;
    this.#waiting.push({ _id: id, outbox: saved });
    // A call may have saved them. Its deadline does not apply.
    runWithoutDeadline(() => this.#publishWaiting());
  };

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closed = true;
    this.#wakeUp.resolve();
    await this.#running;
    // Publishes what the last calls recorded. Without a broker, the next start does.
    while (this.#publishing.size > 0) await Promise.race(this.#publishing);
    await this.#publisher.close();
  }

  #publishWaiting(): void {
    while (this.#publishing.size < CONCURRENCY) {
      const outbox = this.#waiting.shift();
      if (!outbox) return;
      const published = this.#publish(outbox).finally(() => {
        this.#publishing.delete(published);
        this.#publishWaiting();
      });
      this.#publishing.add(published);
    }
  }

  #requestSweep(from: "all" | "settled"): void {
    if (this.#pendingSweep !== "all") this.#pendingSweep = from;
    this.#wakeUp.resolve();
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      await this.#wakeUp.promise;
      this.#wakeUp = Promise.withResolvers();
      await this.#sweepIfRequested().catch((err: unknown) => {
        const { message } = err as Error;
        this.#options.log.warn(
          { err: message },
          "outboxes could not be drained; the sweep goes on",
        );
      });
    }
  }

  async #sweepIfRequested(): Promise<void> {
    if (!this.#pendingSweep || !this.#options.broker.connected) return;
    const isAll = this.#pendingSweep === "all";
    this.#pendingSweep = undefined;
    await this.#sweep(isAll ? AFTER_ALL_IDS : smallestIdAt(Date.now() - SETTLED_AFTER_MS));
  }

  /** New events do not wait behind the backlog of an outage: they do not pass through here. */
  async #sweep(before: string): Promise<void> {
    const found = this.#model.collection.find<Outbox>(
      { "outbox._id": { $lt: before } },
      { projection: { outbox: 1 }, batchSize: SWEEP_BATCH_SIZE, promoteBuffers: true },
    );
    let batch: Promise<void>[] = [];
    for await (const outbox of found) {
      if (this.#closed || !this.#options.broker.connected) break;
      if (!this.#rejected.isResting(outbox._id)) batch.push(this.#publish(outbox));
      if (batch.length < SWEEP_BATCH_SIZE) continue;
      await Promise.all(batch);
      batch = [];
    }
    await Promise.all(batch);
  }

  async #publish(outbox: Outbox): Promise<void> {
    const { _id: id } = outbox;
    const { failure } = await this.#publisher.publish(outbox);
    if (failure === undefined) return this.#rejected.succeeded(id);
    // Without a broker the event itself is not at fault, and the sweep after the next connect finds it.
    if (!this.#options.broker.connected) return;
    this.#rejected.failed(id);
    const { message } = failure as Error;
    this.#options.log.warn({ err: message, id }, "events not published; they stay");
  }
}
