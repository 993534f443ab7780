import type { mongo } from "mongoose";
import { NO_TIME_LIMIT } from "./database.ts";

// A service answers no calls before its indexes exist: the hold is one of them. On a large collection the
// first start of a new version may build them for minutes, while the previous version keeps running: MongoDB
// builds indexes alongside reads and writes. Unlike the queries of a call, the build has no time limit.

interface Indexed {
  schema: { indexes(): [unknown, object][] };
  collection: Pick<mongo.Collection, "createIndexes">;
}

/**
 * Creates the missing indexes of these models. Instances that start at the same time wait for the same
 * build.
 */
export async function buildIndexes(...models: readonly Indexed[]): Promise<void> {
  await Promise.all(
    models.map(async ({ schema, collection }) => {
      const indexes = schema.indexes().map(([key, options]) => ({ ...options, key }));
      if (indexes.length === 0) return;
      await collection.createIndexes(indexes as mongo.IndexDescription[], NO_TIME_LIMIT);
    }),
  );
}
