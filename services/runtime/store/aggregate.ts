import { create, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { setTimeout as passing } from "node:timers/promises";
import mongoose, { Schema, type HydratedDocument, type Model } from "mongoose";
import { newId } from "./ids.ts";
import { CallError } from "../errors.ts";

/** An event that was saved with the change it tells of, and waits to be published. */
export interface OutboxEntry {
  _id: string;
  type: string;
  time: Date;
  payload: Buffer;
}

/** What every aggregate has: an id, a version that orders its states, and its outbox. */
export interface AggregateFields {
  _id: string;
  version: number;
  createTime: Date;
  updateTime: Date;
  outbox: OutboxEntry[];
}

/** A model of aggregates, with the virtual `id` that mongoose adds to each. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- as in mongoose's own types
export type AggregateModel<F extends AggregateFields> = Model<F, {}, {}, { id: string }>;

/** A document with an outbox, whatever else it holds. */
export type Aggregate = HydratedDocument<AggregateFields>;

/** More waiting events than this, and a further write is refused until the relay has caught up. */
const OUTBOX_LIMIT = 100;

const entry = new Schema<OutboxEntry>({
  _id: { type: String, required: true },
  type: { type: String, required: true },
  time: { type: Date, required: true },
  payload: { type: Buffer, required: true },
});

type SavedListener = (id: string) => void;
const savedListeners = new WeakMap<object, Set<SavedListener>>();

/**
 * Calls the listeners with the ID of each document of this model that this process has saved. It is a
 * hint: after a crash nobody is called, so each listener also searches the database from time to time.
 */
export function onSaved<F extends AggregateFields>(
  model: AggregateModel<F>,
  ...listeners: readonly SavedListener[]
): void {
  const known = savedListeners.get(model) ?? new Set();
  for (const listener of listeners) known.add(listener);
  savedListeners.set(model, known);
}

/**
 * Makes a schema an aggregate's: one write saves the state and its events together, so neither can
 * be there without the other; and a write is refused where somebody else's came first.
 */
export function aggregate(schema: Schema): void {
  schema.set("versionKey", false);
  schema.add({
    _id: { type: String, default: () => newId() },
    version: { type: Number, default: 0 },
    createTime: { type: Date, default: Date.now, immutable: true },
    updateTime: { type: Date, default: Date.now },
    outbox: [entry],
  });
  // Sparse: only documents with something to publish are in it, so the sweep costs nothing at rest.
  schema.index({ "outbox._id": 1 }, { sparse: true });
  schema.post("init", (doc: Aggregate) => {
    doc.$locals["version"] = doc.version;
  });
  schema.pre("save", function (this: Aggregate) {
    if (!this.isNew) this.$where = { version: this.$locals["version"] };
  });
  schema.post("save", (doc: Aggregate) => {
    doc.$locals["version"] = doc.version;
    for (const listener of savedListeners.get(doc.constructor) ?? []) listener(doc._id);
  });
}

/** Raises the version without an event: for changes that concern nobody else. */
export function touch(doc: Aggregate): void {
  doc.version += 1;
  doc.updateTime = new Date();
}

/**
 * Raises the version and puts an event beside the change; the save writes both. The event is built
 * after the raise, so that it carries the version that the save makes.
 */
export function record<D extends DescMessage>(
  doc: Aggregate,
  schema: D,
  event: () => MessageInitShape<D>,
): void {
  if (doc.outbox.length >= OUTBOX_LIMIT) {
    throw new CallError("OUTBOX_FULL", "too many changes at once; try again shortly", {
      retryAfterMs: 1000,
    });
  }
  touch(doc);
  const payload = Buffer.from(toBinary(schema, create(schema, event())));
  doc.outbox.push({ _id: newId(), type: schema.typeName, time: doc.updateTime, payload });
}

const lostRace = (error: unknown): boolean =>
  error instanceof mongoose.Error.DocumentNotFoundError ||
  error instanceof mongoose.Error.VersionError;

/**
 * Loads a document, lets `change` change it, and saves it; where somebody else's change came first,
 * again from the start, on the newer state. `change` answers false to leave the document as it is.
 * Answers the document, or undefined where there is none. `select` loads what is not loaded by itself.
 */
export async function update<F extends AggregateFields>(
  model: AggregateModel<F>,
  id: string,
  change: (doc: HydratedDocument<F>) => boolean | void,
  select = "",
): Promise<HydratedDocument<F> | undefined> {
  for (let round = 0; round < 10; round += 1) {
    const doc = (await model.findById(id).select(select)) as HydratedDocument<F> | null;
    if (!doc) return undefined;
    if (change(doc) === false) return doc;
    try {
      return await doc.save();
    } catch (error) {
      if (!lostRace(error)) throw error;
      await passing(Math.random() * 5 * round); // The more of us there are, the further apart.
    }
  }
  throw new CallError("CHANGED_MEANWHILE", "others keep changing this; read it again and retry");
}
