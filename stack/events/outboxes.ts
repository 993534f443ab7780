import { mongo } from "mongoose";

const SELECTION_TIMEOUT_MS = 3_000;

/** The events that a service has saved and not yet published. Empty if its database is unreachable. */
export interface Outbox {
  waiting?: number;
  oldest?: Date;
}

interface Totals {
  waiting: number;
  oldest: Date;
}

/** Only collections with the relay's index have outboxes. */
async function totalsOf(collection: mongo.Collection): Promise<Totals | undefined> {
  const indexes = await collection.indexes();
  if (!indexes.some(({ key }) => "outbox._id" in key)) return undefined;
  const [totals] = await collection
    .aggregate<Totals>([
      { $match: { "outbox._id": { $exists: true } } },
      { $unwind: "$outbox" },
      { $group: { _id: null, waiting: { $sum: 1 }, oldest: { $min: "$outbox.time" } } },
    ])
    .toArray();
  return totals;
}

export async function readOutbox(uri: string): Promise<Outbox> {
  try {
    const options = { serverSelectionTimeoutMS: SELECTION_TIMEOUT_MS };
    await using client = await new mongo.MongoClient(uri, options).connect();
    const collections = await client.db().collections();
    const all = (await Promise.all(collections.map(totalsOf))).filter((each) => each !== undefined);
    const times = all.map(({ oldest }) => oldest.getTime());
    return {
      waiting: all.reduce((sum, { waiting }) => sum + waiting, 0),
      ...(times.length > 0 ? { oldest: new Date(Math.min(...times)) } : {}),
    };
  } catch {
    return {};
  }
}
