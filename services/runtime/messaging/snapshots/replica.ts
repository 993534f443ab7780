import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Connection } from "mongoose";
import { on, type EventHandler } from "../consumer.ts";
import { newId } from "../../store/ids.ts";
import { duplicateKeyIndex, isDatabaseFault } from "../../store/database.ts";
import {
  publishMessage,
  type SnapshotRequest,
  type MessagingContext,
  type SnapshotPage,
} from "./publisher.ts";

// A service keeps copies of what others own, fed by their events. One whose database is empty, or was
// restored, asks the owner for all of it, in pages, while the events flow on.

/** What a service keeps of what another one owns. */
export interface ReplicaSource<S extends DescMessage, T> {
  /** The service that owns them. */
  owner: string;
  /** From 1; raised where more of each is kept than before: then all is asked for once again. */
  edition?: number;
  request: DescMessage;
  snapshot: S;
  itemsOf(snapshot: MessageShape<S>): T[];
  /** Keeps one as it is in the snapshot, unless ours is as new. */
  applyIfNewer(thing: T): Promise<unknown>;
}

/** The rebuilding of copies. */
export interface Replica {
  /** Stores the pages that come. */
  handler: EventHandler;
  /** Resolves when the copies are all there: at once, in a database where they were before. */
  untilComplete(): Promise<void>;
}

/** How far the copies of one owner's things are, in one edition. Without it nobody knows whether they are all there. */
interface Marker extends Omit<SnapshotRequest, "requester"> {
  _id: string;
  /** How many things have come so far. */
  things: number;
  doneTime?: Date;
}

/** So many things of a page are stored at once; what is alive needs the database too. */
const WIDTH = 16;
const POLL_MS = 50;
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * Asks for the next page when it has stored one. A marker in the service's own database says how far
 * it is: any instance goes on from there, after any kill, and a page that comes twice is dropped.
 */
export function buildReplica<S extends DescMessage, T>(
  runtime: MessagingContext,
  db: Connection,
  { owner, edition = 1, request, snapshot, itemsOf, applyIfNewer }: ReplicaSource<S, T>,
): Replica {
  const { service, log } = runtime;
  const marked = edition === 1 ? owner : `${owner} ${edition}`;
  const markers = db.collection<Marker>("bootstrap");
  /** The page that this process is storing, which another answer with it need not do too. */
  let storing: string | undefined;

  const ask = ({ requestId, pageToken }: Omit<SnapshotRequest, "requester">): Promise<void> => {
    const message = { requester: service, requestId, pageToken } as MessageInitShape<DescMessage>;
    const to = { key: request.typeName, subject: service };
    return publishMessage(runtime, to, request, message);
  };

  const store = async (all: T[]): Promise<void> => {
    for (let i = 0; i < all.length; i += WIDTH)
      await Promise.all(all.slice(i, i + WIDTH).map(applyIfNewer));
  };

  async function receive(told: MessageShape<S>): Promise<void> {
    const {
      requestId,
      pageToken,
      nextPageToken,
      edition: theirs,
    } = told as unknown as SnapshotPage;
    // While a new version comes, an instance of the one before may answer. The next one asked may know.
    if (Math.max(theirs, 1) < edition) {
      return log.warn({ owner, edition: theirs }, `this instance of ${owner} tells too little`);
    }
    const awaited = { _id: marked, requestId, pageToken, doneTime: { $exists: false } };
    if (!(await markers.findOne(awaited))) return; // We asked twice, and this one is stored.
    const page = itemsOf(told);
    await store(page);
    const next = nextPageToken ? { pageToken: nextPageToken } : { doneTime: new Date() };
    const change = { $set: next, $inc: { things: page.length } };
    const { modifiedCount } = await markers.updateOne(awaited, change);
    if (modifiedCount === 0 || !nextPageToken) return;
    // Where this fails, `untilComplete` asks again.
    await ask({ requestId, pageToken: nextPageToken }).catch(() => undefined);
  }

  const hear = on(snapshot, async (told) => {
    const { requestId, pageToken } = told as unknown as SnapshotPage;
    const page = `${requestId} ${pageToken}`;
    if (page === storing) return;
    storing = page;
    await receive(told).finally(() => {
      if (storing === page) storing = undefined;
    });
  });

  async function mark(): Promise<Marker> {
    const found = await markers.findOne({ _id: marked });
    if (found) return found;
    const fresh = { _id: marked, requestId: newId(), pageToken: "", things: 0 };
    return markers.insertOne(fresh).then(
      () => fresh,
      (error: unknown) => {
        if (duplicateKeyIndex(error)) return mark(); // Another instance has begun.
        throw error;
      },
    );
  }

  const away = (err: unknown): undefined => {
    if (!isDatabaseFault(err)) throw err;
  };

  async function untilComplete(): Promise<void> {
    let page: string | undefined;
    let pause = FIRST_PAUSE_MS;
    let askAt = 0;
    for (; ; await new Promise((resolve) => setTimeout(resolve, POLL_MS))) {
      const marker = await mark().catch(away);
      if (!marker) continue;
      const { things: sofar, doneTime, pageToken } = marker;
      if (doneTime) {
        if (page !== undefined) log.info({ owner, things: sofar }, `all that ${owner} has is here`);
        return;
      }
      if (pageToken !== page) {
        // It moves, and whoever stored the page before has asked for this one.
        if (page !== undefined) askAt = Date.now() + FIRST_PAUSE_MS;
        [page, pause] = [pageToken, FIRST_PAUSE_MS];
      }
      if (storing !== undefined || Date.now() < askAt) continue;
      if (askAt === 0) log.info({ owner }, `not ready before ${owner} has told us all that it has`);
      else log.warn({ owner, things: sofar }, `still waiting for ${owner}; asking again`);
      await ask(marker).catch((err: unknown) =>
        log.warn({ err: (err as Error).message }, "not asked"),
      );
      askAt = Date.now() + pause;
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }

  return { handler: { ...hear, isRequestedAgain: true }, untilComplete };
}
