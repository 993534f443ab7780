import { mongo } from "mongoose";
import { batchedReadsOf } from "./batched-reads.ts";
import { refusedWrites } from "./database.ts";

/** What a model and a raw collection have in common here. */
interface Target {
  insertOne(doc: never, options: object): Promise<unknown>;
  insertMany(docs: never[], options: object): Promise<unknown>;
}

interface Inserted {
  _id: string;
}

/** The errors of the documents that were refused, by their ids. */
type Refusals = ReadonlyMap<string, Error>;

const OPTIONS = { ignoreUndefined: true, ordered: false };

/**
 * Inserts a document. Documents that arrive while another insert of the same collection is in progress are
 * inserted together, with one command that waits for the majority once. One that a unique index refuses
 * fails alone, with the same error as by itself.
 */
export async function insertBatched(collection: Target, doc: Inserted): Promise<void> {
  const refusal = (await insertTogether(collection, doc)).get(doc._id);
  if (refusal) throw refusal;
}

const insertTogether = batchedReadsOf(
  (collection: Target) =>
    async (docs: readonly Inserted[]): Promise<Refusals> => {
      const [first] = docs;
      if (docs.length === 1) {
        await collection.insertOne(first as never, OPTIONS);
        return new Map();
      }
      try {
        await collection.insertMany(docs as never, OPTIONS);
        return new Map();
      } catch (error) {
        return refusalsIn(error, docs);
      }
    },
);

const refusalsIn = (error: unknown, docs: readonly Inserted[]): Refusals =>
  new Map(
    refusedWrites(error).map(({ index, code, errmsg = "" }) => [
      docs[index]?._id ?? "",
      new mongo.MongoServerError({ message: errmsg, code }),
    ]),
  );
