import { mongo } from "mongoose";
import { age, table } from "./table.ts";

/** What a service has saved and not yet published. */
export interface OutboxStats {
  service: string;
  /** Undefined where its database did not let us look. */
  waiting: number | undefined;
  oldest?: Date;
}

interface Sum {
  waiting: number;
  oldest: Date;
}

/** Only collections of aggregates have outboxes; one knows them by the relay's index. */
async function sumOf(collection: mongo.Collection): Promise<Sum | undefined> {
  const indexes = await collection.indexes();
  if (!indexes.some(({ key }) => "outbox._id" in key)) return undefined;
  const [sum] = await collection
    .aggregate<Sum>([
      { $match: { "outbox._id": { $exists: true } } },
      { $unwind: "$outbox" },
      { $group: { _id: null, waiting: { $sum: 1 }, oldest: { $min: "$outbox.time" } } },
    ])
    .toArray();
  return sum;
}

async function outbox(service: string, uri: string): Promise<OutboxStats> {
  try {
    await using client = await new mongo.MongoClient(uri, {
      serverSelectionTimeoutMS: 3_000,
    }).connect();
    const collections = await client.db().collections();
    const sums = (await Promise.all(collections.map(sumOf))).filter((sum) => sum !== undefined);
    const times = sums.map(({ oldest }) => oldest.getTime());
    return {
      service,
      waiting: sums.reduce((all, { waiting }) => all + waiting, 0),
      ...(times.length > 0 ? { oldest: new Date(Math.min(...times)) } : {}),
    };
  } catch {
    return { service, waiting: undefined };
  }
}

export const outboxStats = (uris: Readonly<Record<string, string>>): Promise<OutboxStats[]> =>
  Promise.all(Object.entries(uris).map(([service, uri]) => outbox(service, uri)));

export const outboxTable = (outboxes: readonly OutboxStats[]): string =>
  table(
    ["OUTBOX", "WAITING", "OLDEST"],
    outboxes.map(({ service, waiting, oldest }) => [
      service,
      String(waiting ?? "no answer"),
      age(oldest),
    ]),
  );
