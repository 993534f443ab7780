import { create, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import type { Model } from "mongoose";
import type { AggregateFields } from "../../store/aggregate.ts";
import type { Broker } from "../broker.ts";
import { toProperties } from "../envelope.ts";
import { on, type EventHandler } from "../consumer.ts";
import { newId } from "../../store/ids.ts";
import type { Log } from "../../log.ts";
import { EVENTS_EXCHANGE, snapshotKey } from "../topology.ts";

// What a service tells those who have lost it, or have never heard it; bootstrap.ts asks for it.

/** What a service hands out of its own when another one asks: one page of a collection. */
export interface SnapshotPublisher<F extends AggregateFields, S extends DescMessage> {
  /** From 1; raised where more of each is told than before, as that of those who need it is. */
  edition?: number;
  request: DescMessage;
  snapshot: S;
  model: Model<F>;
  toPage(page: F[]): MessageInitShape<S>;
}

/** The fields that every request has. */
export interface SnapshotRequest {
  requester: string;
  requestId: string;
  pageToken: string;
}

/** The fields that every snapshot has. */
export interface SnapshotPage extends Omit<SnapshotRequest, "requester"> {
  nextPageToken: string;
  edition: number;
}

/** What asking and answering need of a service. */
export interface MessagingContext {
  service: string;
  broker: Broker;
  log: Log;
}

/** With the contracts' limits on a thing's fields, a page stays below half a megabyte. */
export const SNAPSHOT_PAGE_SIZE = 200;

/** Sends one message, and resolves once the broker has it. What leads nowhere is asked for again. */
export function publishMessage<D extends DescMessage>(
  { service, broker }: MessagingContext,
  to: { key: string; subject: string },
  schema: D,
  message: MessageInitShape<D>,
): Promise<void> {
  const body = Buffer.from(toBinary(schema, create(schema, message)));
  const about = { id: newId(), type: schema.typeName, subject: to.subject, time: new Date() };
  const properties = toProperties({ ...about, source: service });
  return broker.publish(EVENTS_EXCHANGE, to.key, body, properties);
}

/**
 * Answers those who ask for what this service owns, each into its own queue, one page a time. Ids have
 * the order of time, so what is made meanwhile lies before the first page, and comes as an event.
 */
export function snapshotRequestHandler<F extends AggregateFields, S extends DescMessage>(
  runtime: MessagingContext,
  { edition = 1, request, snapshot, model, toPage }: SnapshotPublisher<F, S>,
): EventHandler {
  const answer = on(request, async (asked) => {
    const { requester, requestId, pageToken } = asked as unknown as SnapshotRequest;
    const found = await model
      .find(pageToken ? { _id: { $lt: pageToken } } : {}, { outbox: 0 })
      .sort({ _id: -1 })
      .limit(SNAPSHOT_PAGE_SIZE + 1)
      .lean<F[]>();
    const page = found.slice(0, SNAPSHOT_PAGE_SIZE);
    const nextPageToken = found.length > SNAPSHOT_PAGE_SIZE ? (page.at(-1)?._id ?? "") : "";
    const told = { ...toPage(page), requestId, pageToken, nextPageToken, edition };
    const to = { key: snapshotKey(snapshot, requester), subject: requester };
    await publishMessage(runtime, to, snapshot, told as MessageInitShape<S>);
  });
  return { ...answer, isRequestedAgain: true };
}
