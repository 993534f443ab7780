import { setTimeout as sleep } from "node:timers/promises";
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Connection } from "mongoose";
import type { Log } from "../../log.ts";
import { isDatabaseFault } from "../../store/database.ts";
import { on, type EventHandler } from "../event-handler.ts";
import {
  publishMessage,
  type MessagingContext,
  type SnapshotPage,
  type SnapshotRequest,
} from "./publisher.ts";
import { replicaProgress, type PageRequest, type ReplicaProgress } from "./replica-progress.ts";

// A service keeps replicas of what other services own, updated by their events. A service whose database
// is empty or was restored requests all of it from the owner, in pages, while the events continue.

/** What a service replicates of another service's data. */
export interface ReplicaSource<S extends DescMessage, T> {
  /** The service that owns the data. */
  owner: string;
  /** Starts at 1. It is raised when the replica has new fields: then everything is requested again. */
  edition?: number;
  request: DescMessage;
  snapshot: S;
  itemsOf(snapshot: MessageShape<S>): T[];
  /** Stores an item of the snapshot unless the replica has the same or a newer version. */
  applyIfNewer(item: T): Promise<unknown>;
}

/** The id under which the progress of a replica is stored. Each edition has its own. */
export const markerOf = ({ owner, edition = 1 }: { owner: string; edition?: number }): string =>
  edition === 1 ? owner : `${owner} ${edition}`;

export interface Replica {
  /** Stores the snapshot pages that arrive. */
  handler: EventHandler;
  /** Resolves when the replica is complete: at once, if it was complete before. */
  untilComplete(): Promise<void>;
}

/** How many items of a page are stored at once. Events and calls need the database too. */
const CONCURRENCY = 16;
const POLL_INTERVAL_MS = 50;
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * Requests a page, stores it, and requests the next one. The progress is in the service's own database:
 * any instance continues from there after a crash, and a page that arrives twice is dropped.
 */
export function buildReplica<S extends DescMessage, T>(
  context: MessagingContext,
  db: Connection,
  source: ReplicaSource<S, T>,
): Replica {
  const builder = new ReplicaBuilder(context, db, source);
  const handler = on(source.snapshot, (snapshot) => builder.receive(snapshot));
  return {
    handler: { ...handler, isRequestedAgain: true },
    untilComplete: () => builder.untilComplete(),
  };
}

class ReplicaBuilder<S extends DescMessage, T> {
  readonly #context: MessagingContext;
  readonly #log: Log;
  readonly #source: ReplicaSource<S, T>;
  readonly #edition: number;
  readonly #progress: ReplicaProgress;
  /** The page that this process is storing. It ignores the same page when it arrives again meanwhile. */
  #storing: string | undefined;

  constructor(context: MessagingContext, db: Connection, source: ReplicaSource<S, T>) {
    const { edition = 1 } = source;
    this.#context = context;
    this.#log = context.log;
    this.#source = source;
    this.#edition = edition;
    this.#progress = replicaProgress(db, markerOf(source));
  }

  async receive(snapshot: MessageShape<S>): Promise<void> {
    const { requestId, pageToken } = snapshot as unknown as SnapshotPage;
    const page = `${requestId} ${pageToken}`;
    if (page === this.#storing) return;
    this.#storing = page;
    await this.#store(snapshot).finally(() => {
      if (this.#storing === page) this.#storing = undefined;
    });
  }

  async untilComplete(): Promise<void> {
    const { owner } = this.#source;
    const schedule = requestSchedule();
    for (; ; await sleep(POLL_INTERVAL_MS)) {
      const progress = await this.#progress.read().catch(ignoreDatabaseFault);
      if (!progress) continue;
      const { things: received, doneTime, pageToken } = progress;
      if (doneTime) {
        if (schedule.hasBegun())
          this.#log.info({ owner, things: received }, `the replica of ${owner} is complete`);
        return;
      }
      schedule.sawPage(pageToken);
      if (this.#storing !== undefined || !schedule.isDue()) continue;
      if (schedule.isFirst())
        this.#log.info({ owner }, `not ready before the replica of ${owner} is complete`);
      else this.#log.warn({ owner, things: received }, `still waiting for ${owner}; asking again`);
      await this.#request(progress).catch((err: unknown) =>
        this.#log.warn({ err: (err as Error).message }, "the page was not requested"),
      );
      schedule.requested();
    }
  }

  async #store(snapshot: MessageShape<S>): Promise<void> {
    const { owner, itemsOf, applyIfNewer } = this.#source;
    const { requestId, pageToken, nextPageToken, edition } = snapshot as unknown as SnapshotPage;
    // During a rollout an instance of the previous version may answer. The next one may know the edition.
    if (Math.max(edition, 1) < this.#edition) {
      const message = `this instance of ${owner} sends an older edition`;
      return this.#log.warn({ owner, edition }, message);
    }
    const page = { requestId, pageToken };
    if (!(await this.#progress.isAwaited(page))) return; // Another request's answer was stored.
    const items = itemsOf(snapshot);
    for (let i = 0; i < items.length; i += CONCURRENCY) {
      await Promise.all(items.slice(i, i + CONCURRENCY).map((item) => applyIfNewer(item)));
    }
    const isRecorded = await this.#progress.advance(page, nextPageToken, items.length);
    if (!isRecorded || !nextPageToken) return;
    // If this fails, `untilComplete` requests the page.
    await this.#request({ requestId, pageToken: nextPageToken }).catch(() => undefined);
  }

  #request({ requestId, pageToken }: PageRequest): Promise<void> {
    const { request } = this.#source;
    const { service } = this.#context;
    const message = { requester: service, requestId, pageToken } satisfies SnapshotRequest;
    const to = { key: request.typeName, subject: service };
    return publishMessage(this.#context, to, request, message as MessageInitShape<DescMessage>);
  }
}

/** When to request the next page: at once, when it was not requested elsewhere, and then with backoff. */
function requestSchedule() {
  let page: string | undefined;
  let pause = FIRST_PAUSE_MS;
  let requestAt = 0;
  return {
    hasBegun: (): boolean => page !== undefined,
    isFirst: (): boolean => requestAt === 0,
    isDue: (): boolean => Date.now() >= requestAt,
    sawPage(current: string): void {
      if (current === page) return;
      // The instance that stored the page before has requested this one.
      if (page !== undefined) requestAt = Date.now() + FIRST_PAUSE_MS;
      page = current;
      pause = FIRST_PAUSE_MS;
    },
    requested(): void {
      requestAt = Date.now() + pause;
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    },
  };
}

function ignoreDatabaseFault(error: unknown): undefined {
  if (!isDatabaseFault(error)) throw error;
}
