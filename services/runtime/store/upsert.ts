import type { mongo } from "mongoose";
import { duplicateKeyIndex, duplicates } from "./database.ts";

/**
 * Inserts a replica, or changes it if it is older. `update` is the `updateOne` whose filter names the id
 * and the versions that are older than the new one. A replica that is as new stays.
 */
export async function upsertIfOlder(
  update: (options: { upsert: boolean }) => PromiseLike<unknown>,
): Promise<void> {
  try {
    await update({ upsert: true });
  } catch (error) {
    if (!duplicateKeyIndex(error)) throw error;
    // The document exists: it is as new, or an older one was inserted at the same time.
    await update({ upsert: false });
  }
}

/** A replica to store: `filter` names its id and the versions that are older than the new one. */
export interface ReplicaUpdate<F extends mongo.Document> {
  filter: mongo.Filter<F>;
  update: mongo.UpdateFilter<F>;
}

/** As `upsertIfOlder` for many replicas, in one write that waits for the majority once. */
export async function upsertAllIfOlder<F extends mongo.Document>(
  collection: Pick<mongo.Collection<F>, "bulkWrite">,
  replicas: readonly ReplicaUpdate<F>[],
): Promise<void> {
  const write = (upserts: readonly ReplicaUpdate<F>[], upsert: boolean) =>
    collection.bulkWrite(
      upserts.map((replica) => ({ updateOne: { ...replica, upsert } })),
      { ordered: false },
    );
  try {
    await write(replicas, true);
  } catch (error) {
    const existing = duplicates(error).flatMap((index) => replicas[index] ?? []);
    await write(existing, false);
  }
}
