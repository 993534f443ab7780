import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "amqplib";
import { connectBroker } from "#runtime/messaging/broker/broker.ts";
import { createLog } from "#runtime/log.ts";
import { connectDatabase } from "#runtime/store/database.ts";
import { startParts } from "#stack/parts";
import { service, subscriptions } from "./events/event.ts";
import { latency } from "./events/latency.ts";
import { throughput } from "./events/throughput.ts";

// The cost of an event, on a broker and a database of its own.

const dir = await mkdtemp(join(tmpdir(), "ticketing-bench-"));
const log = createLog(service, "silent");
const rights = { subscriptions, banEvents: [], delays: [] };
const parts = await startParts({ dir, services: [service], rights, log: () => undefined });
try {
  const url = parts.amqpUrl(service);
  const broker = await connectBroker({ url, name: service, subscriptions, log });
  const raw = await connect(parts.rabbit?.adminUrl ?? url, { noDelay: true });
  const db = await connectDatabase(parts.mongoUrl(service), log);
  if (!(await throughput(broker, raw, log))) process.exitCode = 1;
  await latency(db, broker, raw, log);
  await db.close();
  await raw.close();
  await broker.close();
} finally {
  await parts.stop();
  await rm(dir, { recursive: true, force: true });
}
