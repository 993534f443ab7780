import type { Connection } from "mongoose";
import { duplicateKeyIndex } from "../../store/database.ts";
import { newId } from "../../store/ids.ts";
import type { SnapshotRequest } from "./publisher.ts";

export type PageRequest = Omit<SnapshotRequest, "requester">;

/** How far a replica is built, as stored. Only its `doneTime` says that it is complete. */
interface Progress extends PageRequest {
  _id: string;
  /** How many items have arrived so far. */
  things: number;
  doneTime?: Date;
}

export type ReplicaProgress = ReturnType<typeof replicaProgress>;

/** The progress of one replica, shared by all instances. */
export function replicaProgress(db: Connection, id: string) {
  const collection = db.collection<Progress>("bootstrap");
  const awaited = ({ requestId, pageToken }: PageRequest) => ({
    _id: id,
    requestId,
    pageToken,
    doneTime: { $exists: false },
  });

  async function read(): Promise<Progress> {
    const found = await collection.findOne({ _id: id });
    if (found) return found;
    const fresh = { _id: id, requestId: newId(), pageToken: "", things: 0 };
    return collection.insertOne(fresh).then(
      () => fresh,
      (error: unknown) => {
        if (duplicateKeyIndex(error)) return read(); // Another instance has begun.
        throw error;
      },
    );
  }

  return {
    read,
    /** Whether this is the page to store next. */
    isAwaited: async (page: PageRequest): Promise<boolean> =>
      (await collection.findOne(awaited(page))) !== null,
    /** Records that a page is stored. Returns false if it was recorded before. */
    async advance(page: PageRequest, nextPageToken: string, items: number): Promise<boolean> {
      const next = nextPageToken ? { pageToken: nextPageToken } : { doneTime: new Date() };
      const change = { $set: next, $inc: { things: items } };
      const { modifiedCount } = await collection.updateOne(awaited(page), change);
      return modifiedCount > 0;
    },
  };
}
