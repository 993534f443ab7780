import { create, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { setTimeout as passing } from "node:timers/promises";
import mongoose, { Schema, type HydratedDocument, type Model } from "mongoose";
import { newId } from "./ids.ts";
import { CallError } from "../errors.ts";

/** An event that is saved together with its change and waits to be published. */
export interface OutboxEntry {
  _id: string;
  type: string;
  time: Date;
  payload: Buffer;
}

/** The fields of every aggregate: an ID, a version that orders its states, and its outbox. */
export interface AggregateFields {
  _id: string;
  version: number;
  createTime: Date;
  updateTime: Date;
  outbox: OutboxEntry[];
}

/** A model of aggregates, with the virtual `id` that mongoose adds to each document. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- as in mongoose's own types
export type AggregateModel<F extends AggregateFields> = Model<F, {}, {}, { id: string }>;

/** A mongoose document with an outbox and any other fields. */
type Aggregate = HydratedDocument<AggregateFields>;

/** With more waiting events than this, further writes are refused until the relay has published them. */
const OUTBOX_LIMIT = 100;

const entry = new Schema<OutboxEntry>({
  _id: { type: String, required: true },
  type: { type: String, required: true },
  time: { type: Date, required: true },
  payload: { type: Buffer, required: true },
});

type SavedListener<F extends AggregateFields> = (
  id: string,
  events: readonly OutboxEntry[],
  saved: F,
) => void;
const savedListeners = new WeakMap<object, Set<SavedListener<AggregateFields>>>();

/** The events that were recorded since the document was loaded or saved. */
const unsavedEvents = new WeakMap<object, OutboxEntry[]>();

/**
 * Calls the listeners with the ID of each document of this model that this process saves, with the events
 * that were saved with it, and with the document. It is only a hint: after a crash no listener is called,
 * so each listener also searches the database periodically.
 */
export function onSaved<F extends AggregateFields>(
  model: AggregateModel<F>,
  ...listeners: readonly SavedListener<F>[]
): void {
  const known = savedListeners.get(model) ?? new Set();
  for (const listener of listeners) known.add(listener as SavedListener<AggregateFields>);
  savedListeners.set(model, known);
}

/**
 * Adds the fields of an aggregate to a schema. One write saves the state and its events, so neither exists
 * without the other. A write that is based on an outdated version is refused (optimistic concurrency).
 */
export function aggregate(schema: Schema): void {
  schema.set("versionKey", false);
  schema.add({
    _id: { type: String, default: () => newId() },
    version: { type: Number, default: 0 },
    createTime: { type: Date, default: () => new Date(), immutable: true },
    updateTime: { type: Date, default: () => new Date() },
    outbox: [entry],
  });
  // A sparse index contains only documents with events to publish, so the sweep is cheap while there are
  // none.
  schema.index({ "outbox._id": 1 }, { sparse: true });
  schema.post("init", (doc: Aggregate) => {
    doc.$locals["version"] = doc.version;
  });
  schema.pre("save", function (this: Aggregate) {
    if (!this.isNew) this.$where = { version: this.$locals["version"] };
  });
  schema.post("save", (doc: Aggregate) => {
    doc.$locals["version"] = doc.version;
    notifySaved(doc.constructor, doc);
  });
}

/** The events that the next save of this document writes. */
export const unsavedEventsOf = (doc: AggregateFields): readonly OutboxEntry[] =>
  unsavedEvents.get(doc) ?? [];

/** Calls the listeners of a model after a document was saved. */
export function notifySaved(model: object, doc: AggregateFields): void {
  const events = unsavedEventsOf(doc);
  unsavedEvents.delete(doc);
  for (const listener of savedListeners.get(model) ?? []) listener(doc._id, events, doc);
}

/** Increments the version without an event, for changes that no other service needs to know. */
export function touch(doc: AggregateFields): void {
  doc.version += 1;
  doc.updateTime = new Date();
}

/**
 * Increments the version and adds an event to the outbox; the next save writes both. The event is created
 * after the increment, so it contains the version that is saved.
 */
export function record<D extends DescMessage>(
  doc: AggregateFields,
  schema: D,
  message: () => MessageInitShape<D>,
): void {
  if (doc.outbox.length >= OUTBOX_LIMIT) {
    throw new CallError("OUTBOX_FULL", "too many changes at once; try again shortly", {
      retryAfterMs: 1000,
    });
  }
  touch(doc);
  const payload = Buffer.from(toBinary(schema, create(schema, message())));
  const event = { _id: newId(), type: schema.typeName, time: doc.updateTime, payload };
  doc.outbox.push(event);
  const unsaved = unsavedEvents.get(doc);
  if (unsaved) unsaved.push(event);
  else unsavedEvents.set(doc, [event]);
}

const lostRace = (error: unknown): boolean =>
  error instanceof mongoose.Error.DocumentNotFoundError ||
  error instanceof mongoose.Error.VersionError;

/**
 * Loads a document, changes it with `change` and saves it. If another change was saved first, it starts
 * again with the newer state. When `change` returns false, the document is not saved. Returns the document,
 * or undefined if it does not exist. `select` names fields that are not loaded by default.
 *
 * A document in place of the ID saves the first read. If it is outdated, its save is refused, and the newer
 * state is read; only where `change` returns false is the outdated document returned.
 */
export async function update<F extends AggregateFields>(
  model: AggregateModel<F>,
  target: string | HydratedDocument<F>,
  change: (doc: HydratedDocument<F>) => boolean | void,
  select = "",
): Promise<HydratedDocument<F> | undefined> {
  const [id, loaded] = typeof target === "string" ? [target] : [target._id, target];
  for (let round = 0; round < 10; round += 1) {
    const isLoaded = round === 0 && loaded;
    const doc = isLoaded
      ? loaded
      : ((await model.findById(id).select(select)) as HydratedDocument<F> | null);
    if (!doc) return undefined;
    if (change(doc) === false) return doc;
    try {
      return await doc.save();
    } catch (error) {
      if (!lostRace(error)) throw error;
      await passing(Math.random() * 5 * round); // Jitter that grows with each attempt.
    }
  }
  throw new CallError("CHANGED_MEANWHILE", "others keep changing this; read it again and retry");
}
