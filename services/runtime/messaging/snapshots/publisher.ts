import { create, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import type { AggregateFields, AggregateModel } from "../../store/aggregate.ts";
import type { Broker } from "../broker/broker.ts";
import { toProperties } from "../topology/envelope.ts";
import { on, type EventHandler } from "../event-handler.ts";
import { newId } from "../../store/ids.ts";
import type { Log } from "../../log.ts";
import { EVENTS_EXCHANGE, snapshotKey } from "../topology/topology.ts";

// The owner's side of a replica: it answers requests for snapshots. replica.ts requests them.

/** What a service publishes on request: pages of one of its collections. */
export interface SnapshotPublisher<F extends AggregateFields, S extends DescMessage> {
  /** Starts at 1. It is raised when the snapshot has new fields, like the edition of the replicas. */
  edition?: number;
  request: DescMessage;
  snapshot: S;
  model: AggregateModel<F>;
  toPage(page: F[]): MessageInitShape<S>;
}

/** The fields that every request for a snapshot page has. */
export interface SnapshotRequest {
  requester: string;
  requestId: string;
  pageToken: string;
}

/** The fields that every snapshot page has. */
export interface SnapshotPage extends Omit<SnapshotRequest, "requester"> {
  nextPageToken: string;
  edition: number;
}

/** What publishing a message needs to know of a service. */
export interface MessagingContext {
  service: string;
  broker: Broker;
  log: Log;
}

/** The contracts limit the length of all fields, so a page stays below half a megabyte. */
export const SNAPSHOT_PAGE_SIZE = 200;

/** Publishes one message. Resolves when the broker has confirmed it; an unroutable one is dropped. */
export function publishMessage<D extends DescMessage>(
  { service, broker }: MessagingContext,
  to: { key: string; subject: string },
  schema: D,
  message: MessageInitShape<D>,
): Promise<void> {
  const body = Buffer.from(toBinary(schema, create(schema, message)));
  const properties = toProperties({
    id: newId(),
    type: schema.typeName,
    source: service,
    subject: to.subject,
    time: new Date(),
  });
  return broker.publish(EVENTS_EXCHANGE, to.key, body, properties);
}

/**
 * Answers requests for snapshots, one page per request, into the queue of the requester. Pages go from
 * the newest ID to the oldest: what is created meanwhile lies before the first page and arrives as an
 * event.
 */
export function snapshotRequestHandler<F extends AggregateFields, S extends DescMessage>(
  context: MessagingContext,
  { edition = 1, request, snapshot, model, toPage }: SnapshotPublisher<F, S>,
): EventHandler {
  const handler = on(request, async (message) => {
    const { requester, requestId, pageToken } = message as unknown as SnapshotRequest;
    const found = await model
      .find(pageToken ? { _id: { $lt: pageToken } } : {}, { outbox: 0 })
      .sort({ _id: -1 })
      .limit(SNAPSHOT_PAGE_SIZE + 1)
      .lean<F[]>();
    const page = found.slice(0, SNAPSHOT_PAGE_SIZE);
    const nextPageToken = found.length > SNAPSHOT_PAGE_SIZE ? (page.at(-1)?._id ?? "") : "";
    const fields = { requestId, pageToken, nextPageToken, edition };
    const to = { key: snapshotKey(snapshot, requester), subject: requester };
    const content = { ...toPage(page), ...fields } as MessageInitShape<S>;
    await publishMessage(context, to, snapshot, content);
  });
  return { ...handler, isRequestedAgain: true };
}
