import { mongo } from "mongoose";

/** What a service has saved and not yet published; nothing where its database gives no answer. */
export interface Outbox {
  waiting?: number;
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

export async function readOutbox(uri: string): Promise<Outbox> {
  try {
    const options = { serverSelectionTimeoutMS: 3_000 };
    await using client = await new mongo.MongoClient(uri, options).connect();
    const collections = await client.db().collections();
    const sums = (await Promise.all(collections.map(sumOf))).filter((sum) => sum !== undefined);
    const times = sums.map(({ oldest }) => oldest.getTime());
    return {
      waiting: sums.reduce((all, { waiting }) => all + waiting, 0),
      ...(times.length > 0 ? { oldest: new Date(Math.min(...times)) } : {}),
    };
  } catch {
    return {};
  }
}
