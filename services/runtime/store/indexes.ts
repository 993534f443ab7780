import type { mongo } from "mongoose";
import { NO_TIME_LIMIT } from "./database.ts";

// Nothing serves before its indexes stand: the hold is one of them. On a large collection the first
// start of a new version builds for minutes, while the version before goes on serving: the database
// builds beside reads and writes. So the build has all the time it needs, unlike what a call waits for.

interface Indexed {
  schema: { indexes(): [unknown, object][] };
  collection: Pick<mongo.Collection, "createIndexes">;
}

/** Builds what these models lack. Instances that start at once wait for the same build. */
export async function buildIndexes(...models: readonly Indexed[]): Promise<void> {
  await Promise.all(
    models.map(async ({ schema, collection }) => {
      const indexes = schema.indexes().map(([key, options]) => ({ ...options, key }));
      if (indexes.length === 0) return;
      await collection.createIndexes(indexes as mongo.IndexDescription[], NO_TIME_LIMIT);
    }),
  );
}
