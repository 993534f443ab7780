import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type ChannelModel } from "amqplib";
import { Schema, type Connection } from "mongoose";
import { createLog, type Log } from "#runtime/log.ts";
import { connectBroker, type Broker } from "#runtime/messaging/broker/broker.ts";
import { aggregate, type AggregateFields } from "#runtime/store/aggregate.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { connectDatabase } from "#runtime/store/database.ts";
import { startParts } from "#stack/parts";
import type { Measured } from "../measure/processes.ts";
import { service, subscriptions } from "./event.ts";

/** A broker and a database of the benchmark's own, to which this process connects as a service does. */
export interface EventParts {
  readonly broker: Broker;
  /** The same broker without any code of ours. */
  readonly raw: ChannelModel;
  readonly db: Connection;
  /** A collection of aggregates, which have outboxes. */
  readonly things: Things;
  readonly log: Log;
  readonly processes: readonly Measured[];
  stop(): Promise<void>;
}

type Things = ReturnType<typeof thingsOf>;

function thingsOf(db: Connection) {
  const schema = new Schema<AggregateFields>({});
  aggregate(schema);
  return db.model("Thing", schema);
}

const PREFIX = "events-";

export async function startEventParts(): Promise<EventParts> {
  const dir = await mkdtemp(join(tmpdir(), "ticketing-bench-"));
  const log = createLog(service, "silent");
  const rights = { subscriptions, banEvents: [], delays: [] };
  const parts = await startParts({ dir, services: [service], rights, log: () => undefined });
  const url = parts.amqpUrl(service);
  const broker = await connectBroker({ url, name: service, subscriptions, log });
  const raw = await connect(parts.rabbit?.adminUrl ?? url, { noDelay: true });
  const db = await connectDatabase(parts.mongoUrl(service), log);
  const things = thingsOf(db);
  await buildIndexes(things);
  const started = [parts.mongo, parts.rabbit].filter((part) => part !== undefined);
  return {
    broker,
    raw,
    db,
    things,
    log,
    processes: [
      { name: "bench", pid: process.pid },
      ...started.map(({ child }) => ({ name: PREFIX + child.name, pid: child.pid })),
    ],
    async stop() {
      await db.close();
      await raw.close();
      await broker.close();
      await parts.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
