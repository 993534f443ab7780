import { duplicateKeyIndex } from "./database.ts";

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
