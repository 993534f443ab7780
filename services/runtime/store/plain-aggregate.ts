import { isDeepStrictEqual } from "node:util";
import { setTimeout as passing } from "node:timers/promises";
import { requireTimeLeft } from "../call-deadline.ts";
import { CallError } from "../errors.ts";
import {
  notifySaved,
  unsavedEventsOf,
  type AggregateFields,
  type AggregateModel,
} from "./aggregate.ts";
import { insertBatched } from "./batched-inserts.ts";
import { duplicates } from "./database.ts";
import { newId } from "./ids.ts";

// Aggregates as plain objects. A mongoose document costs as much CPU time as the write itself, for tracking
// changes that a comparison finds as well. The stored form is the same, and both forms can be mixed.

const ROUNDS = 10;

type PlainFields<F> = Omit<F, keyof AggregateFields>;

/** A new aggregate with the defaults of its schema. It is not saved yet. */
export function newAggregate<F extends AggregateFields>(
  model: AggregateModel<F>,
  fields: Partial<PlainFields<F>>,
): F {
  const now = new Date();
  const doc = { _id: newId(), version: 0, createTime: now, updateTime: now, outbox: [], ...fields };
  return model.applyDefaults(doc as never) as unknown as F;
}

/** Inserts a new aggregate together with its events. Concurrent inserts share a write. */
export async function insertAggregate<F extends AggregateFields>(
  model: AggregateModel<F>,
  doc: F,
): Promise<void> {
  requireTimeLeft();
  await insertBatched(model.collection, doc);
  notifySaved(model, doc);
}

/** Inserts new aggregates without events in one write. Returns those whose IDs exist already. */
export async function insertMissing<F extends AggregateFields>(
  model: AggregateModel<F>,
  documents: readonly F[],
): Promise<F[]> {
  try {
    await model.collection.insertMany(documents as never, {
      ordered: false,
      ignoreUndefined: true,
    });
    return [];
  } catch (error) {
    return duplicates(error).flatMap((index) => documents[index] ?? []);
  }
}

/**
 * Loads an aggregate, changes it with `change` and saves what differs, together with the recorded events.
 * If another change was saved first, it starts again with the newer state. When `change` returns false,
 * nothing is saved. Returns the aggregate, or undefined if it does not exist. `select` names fields that
 * are not loaded by default.
 */
export async function updateAggregate<F extends AggregateFields>(
  model: AggregateModel<F>,
  id: string,
  change: (doc: F) => boolean | void,
  select = "",
): Promise<F | undefined> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const stored = await model.findById(id).select(select).lean<F>();
    if (!stored) return undefined;
    const doc = model.applyDefaults(copy(stored) as never) as unknown as F;
    if (change(doc) === false) return doc;
    if (await save(model, stored, doc)) return doc;
    await passing(Math.random() * 5 * round); // Jitter that grows with each attempt.
  }
  throw new CallError("CHANGED_MEANWHILE", "others keep changing this; read it again and retry");
}

/** Writes the differences, unless the stored version has changed: then it returns false. */
async function save<F extends AggregateFields>(
  model: AggregateModel<F>,
  stored: F,
  doc: F,
): Promise<boolean> {
  requireTimeLeft();
  const events = unsavedEventsOf(doc);
  const update = {
    ...difference(stored, doc),
    ...(events.length > 0 && { $push: { outbox: { $each: events } } }),
  };
  const { _id, version } = stored;
  const { matchedCount } = await model.collection.updateOne(
    { _id, version } as never,
    update as never,
  );
  if (matchedCount === 0) return false;
  notifySaved(model, doc);
  return true;
}

/** The fields that differ. The outbox is never overwritten: the relay removes events meanwhile. */
function difference<F extends AggregateFields>(stored: F, doc: F) {
  const $set: Record<string, unknown> = {};
  const $unset: Record<string, 1> = {};
  for (const name of new Set([...Object.keys(stored), ...Object.keys(doc)]) as Set<
    keyof F & string
  >) {
    if (name === "outbox" || isDeepStrictEqual(stored[name], doc[name])) continue;
    if (doc[name] === undefined) $unset[name] = 1;
    else $set[name] = doc[name];
  }
  return { $set, ...(Object.keys($unset).length > 0 && { $unset }) };
}

/** Copies objects and arrays, so that a change inside them is seen. Dates and buffers are not changed. */
function copy<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copy) as T;
  if (value === null || typeof value !== "object") return value;
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, copy(part)])) as T;
}
