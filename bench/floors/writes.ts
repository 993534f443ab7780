import { createServer, type IncomingMessage } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { connect, type ConfirmChannel } from "amqplib";
import { mongo } from "mongoose";
import { drive } from "../load/driver.ts";
import type { Arrivals, Outcome } from "../load/load.ts";
import { necessary, type Change, type Step } from "./steps.ts";

// A process of its own that does only the necessary writes of a change, with the drivers of MongoDB and
// RabbitMQ alone. POST / with what to do answers when all of it is done.

/** What the benchmark asks for. */
export interface Work {
  readonly change: Change;
  readonly count: number;
  readonly arrivals: Arrivals;
}

const QUEUE = "writes";
/** About the size of a stored order, and of an order's event. */
const FIELDS = { title: "x".repeat(100), details: "x".repeat(300) };
const BODY = Buffer.from("x".repeat(250));
const PREFETCH = 32;

const { FLOOR_MONGO_URL = "", FLOOR_AMQP_URL = "" } = process.env;
const client = await new mongo.MongoClient(FLOOR_MONGO_URL, {
  writeConcern: { w: "majority", journal: true },
}).connect();
const documents = client.db("floors").collection<{ _id: string; version: number }>("documents");
const broker = await connect(FLOOR_AMQP_URL, { noDelay: true });
const channel = await broker.createConfirmChannel();
const arrived = await consumeAll();

/** Acknowledges every message, and returns a function that waits until the queue's last one came. */
async function consumeAll(): Promise<(count: number) => Promise<void>> {
  await channel.assertQueue(QUEUE, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await channel.prefetch(PREFETCH);
  let seen = 0;
  let waiting: { count: number; resolve: () => void } | undefined;
  await channel.consume(QUEUE, (message) => {
    if (!message) return;
    channel.ack(message);
    seen += 1;
    if (waiting && seen >= waiting.count) waiting.resolve();
  });
  return (count) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting = { count, resolve };
    if (seen >= count) resolve();
    return promise;
  };
}

let published = 0;
const publish = (confirmed: ConfirmChannel): Promise<void> =>
  new Promise((resolve, reject) => {
    published += 1;
    confirmed.sendToQueue(QUEUE, BODY, { persistent: true }, (error) =>
      error ? reject(error as Error) : resolve(),
    );
  });

async function doSteps(steps: readonly Step[]): Promise<void> {
  let last = "";
  for (const step of steps) {
    if (step === "publish") await publish(channel);
    else if (step === "update")
      await documents.updateOne({ _id: last }, { $inc: { version: 1 }, $set: FIELDS });
    else {
      last = crypto.randomUUID();
      await documents.insertOne({ _id: last, version: 1, ...FIELDS });
    }
  }
}

async function perform({ change, count, arrivals }: Work): Promise<Outcome> {
  const items = Array.from({ length: count });
  const outcome = await drive(items, () => doSteps(necessary[change]), arrivals);
  await arrived(published);
  return outcome;
}

const server = createServer((req: IncomingMessage, res) => {
  void json(req)
    .then((work) => perform(work as Work))
    .then(
      (outcome) => res.end(JSON.stringify(outcome)),
      (error: unknown) => res.writeHead(500).end(String(error)),
    );
});
await once(server.listen(0, "127.0.0.1"), "listening");
console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
