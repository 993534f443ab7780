import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "amqplib";
import { mongo } from "mongoose";
import { services, type System } from "#stack/launcher";
import { sum } from "../figures.ts";
import { cpuMicros, difference, type Measured } from "./processes.ts";

const WINDOW_MS = 200;
/** The share of one core by which a marketplace that has nothing to do may exceed the least that it used. */
const QUIET = 0.5;
const QUIET_WINDOWS = 2;
const REST_WINDOWS = 20;
const LIMIT_MS = 120_000;
/** A mail that is neither sent nor refused for good. */
const UNSENT = { sentTime: { $exists: false }, refusedTime: { $exists: false } };

/**
 * Returns a function that waits until every event has reached its last consumer: the outboxes and the
 * queues are empty, all mails are sent, and the processes have nothing left to do. The last covers what is
 * stored nowhere, such as an event in a handler.
 */
export async function settling(system: System, measured: readonly Measured[]) {
  const broker = await connect(system.parts.rabbit?.adminUrl ?? "", { noDelay: true });
  const channel = await broker.createChannel();
  const client = await new mongo.MongoClient(system.parts.mongo?.adminUrl ?? "").connect();
  const outboxes = await outboxesIn(client);
  const mails = client.db("auth").collection("mails");

  const isDelivered = async (): Promise<boolean> => {
    for (const outbox of outboxes) {
      if (await outbox.findOne({ "outbox._id": { $exists: true } })) return false;
    }
    for (const service of services) {
      if ((await channel.checkQueue(service)).messageCount > 0) return false;
    }
    return (await mails.findOne(UNSENT)) === null;
  };

  /** The share of one core that the marketplace uses in one window. */
  async function load(): Promise<number> {
    const before = cpuMicros(measured);
    const begin = performance.now();
    await sleep(WINDOW_MS);
    const used = sum(Object.values(difference(cpuMicros(measured), before)));
    return used / ((performance.now() - begin) * 1000);
  }

  // Heartbeats and health checks go on; how much they cost depends on the machine.
  let atRest = Infinity;
  for (let i = 0; i < REST_WINDOWS; i += 1) atRest = Math.min(atRest, await load());

  async function settled(): Promise<void> {
    const deadline = performance.now() + LIMIT_MS;
    for (let quiet = 0; quiet < QUIET_WINDOWS;) {
      if (performance.now() > deadline)
        throw new Error("The events did not reach their consumers.");
      const used = await load();
      atRest = Math.min(atRest, used);
      quiet = used < atRest + QUIET && (await isDelivered()) ? quiet + 1 : 0;
    }
  }
  return {
    settled,
    async close() {
      await client.close();
      await broker.close();
    },
  };
}

/** Only collections with the relay's index have outboxes. */
async function outboxesIn(client: mongo.MongoClient): Promise<mongo.Collection[]> {
  const found: mongo.Collection[] = [];
  for (const service of services) {
    for (const collection of await client.db(service).collections()) {
      const indexes = await collection.indexes();
      if (indexes.some(({ key }) => "outbox._id" in key)) found.push(collection);
    }
  }
  return found;
}
