import type { Model } from "mongoose";
import { runWithoutDeadline } from "../call-deadline.ts";

/** How many lookups are answered by one read. */
const BATCH_SIZE = 128;

/**
 * Answers lookups that are made at the same time with one read. While a read is in progress, new lookups
 * wait for the next one, so each lookup is answered by a read that begins after it: as fresh as a read of
 * its own. Each caller gets all that was read, and picks its own part. The read has no deadline, because
 * it serves several calls; `read` limits its own time.
 */
export function batchedReads<K, R>(
  read: (keys: readonly K[]) => Promise<R>,
): (key: K) => Promise<R> {
  let running: Promise<unknown> = Promise.resolve();
  let next: { keys: K[]; result: Promise<R> } | undefined;

  function begin(): { keys: K[]; result: Promise<R> } {
    const keys: K[] = [];
    const result = running.then(() => {
      if (next === batch) next = undefined;
      return runWithoutDeadline(() => read(keys));
    });
    const batch = { keys, result };
    running = result.catch(() => undefined);
    return batch;
  }

  return (key) => {
    if (!next || next.keys.length >= BATCH_SIZE) next = begin();
    next.keys.push(key);
    return next.result;
  };
}

/** The same for each model or collection: the lookups in one of them share its reads. */
export function batchedReadsOf<T extends object, K, R>(
  readIn: (target: T) => (keys: readonly K[]) => Promise<R>,
): (target: T, key: K) => Promise<R> {
  const readers = new WeakMap<T, (key: K) => Promise<R>>();
  return (target, key) => {
    const read = readers.get(target) ?? batchedReads(readIn(target));
    readers.set(target, read);
    return read(key);
  };
}

/** The time limit of a read that serves several calls, in milliseconds. */
export const READ_LIMIT_MS = 4_000;

interface Stored {
  _id: string;
}

/** All documents that one read has found, by their ids. */
type Found = ReadonlyMap<string, unknown>;

/** A model of any kind, with or without virtual fields. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- mongoose's word for "none"
type AnyModel<F, V> = Model<F, {}, {}, V>;

/** What an API does not show: the events to publish, and the fields that the schema keeps from queries. */
function hiddenFields<F, V>({ schema }: AnyModel<F, V>): Record<string, 0> {
  const hidden: Record<string, 0> = { outbox: 0 };
  schema.eachPath((name, { options }) => {
    if ((options as { select?: boolean }).select === false) hidden[name] = 0;
  });
  return hidden;
}

const readDocuments = batchedReadsOf((model: AnyModel<never, never>) => {
  const options = { projection: hiddenFields(model), maxTimeMS: READ_LIMIT_MS };
  return async (ids: readonly string[]): Promise<Found> => {
    const where = { _id: { $in: [...new Set(ids)] } };
    const found = await model.collection.find<Stored>(where as never, options).toArray();
    return new Map(found.map((doc) => [doc._id, doc]));
  };
});

/**
 * The stored document with this id, read after this call, without its outbox and its hidden fields.
 * Simultaneous calls share a read, so that many callers cost the database little more than one.
 */
export async function readById<F extends Stored, V>(
  model: AnyModel<F, V>,
  id: string,
): Promise<F | undefined> {
  return (await readDocuments(model as never, id)).get(id) as F | undefined;
}
