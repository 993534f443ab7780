import type { Model } from "mongoose";
import { batchedReads } from "./batched-reads.ts";

/** The time limit of a read that serves several calls. */
const READ_LIMIT_MS = 4_000;

interface Stored {
  _id: string;
}

/** All documents that one read has found, by their ids. */
type Found = ReadonlyMap<string, unknown>;

const readers = new WeakMap<object, (id: string) => Promise<Found>>();

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

function readTogether<F, V>(model: AnyModel<F, V>) {
  const options = { projection: hiddenFields(model), maxTimeMS: READ_LIMIT_MS };
  return async (ids: readonly string[]): Promise<Found> => {
    const where = { _id: { $in: [...new Set(ids)] } };
    const found = await model.collection.find<Stored>(where as never, options).toArray();
    return new Map(found.map((doc) => [doc._id, doc]));
  };
}

/**
 * The stored document with this id, read after this call, without its outbox and its hidden fields.
 * Simultaneous calls share a read, so that many callers cost the database little more than one.
 */
export async function readById<F extends Stored, V>(
  model: AnyModel<F, V>,
  id: string,
): Promise<F | undefined> {
  const read = readers.get(model) ?? batchedReads(readTogether(model));
  readers.set(model, read);
  return (await read(id)).get(id) as F | undefined;
}
