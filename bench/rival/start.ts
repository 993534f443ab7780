import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "amqplib";
import jwt from "jsonwebtoken";
import { mongo } from "mongoose";
import { freePort, isListening, run, until } from "#stack/process";
import { ensureTools } from "#stack/tools";
import { startServer } from "../setup/server-process.ts";
import type { Measured } from "../measure/processes.ts";
import type { Marketplace } from "../setup/marketplace.ts";
import { COOKIE } from "./app.ts";

export const RIVAL = "rival";
export const RIVAL_MONGO = "rival-mongod";
const VHOST = "rival";
const DATABASE = "rival";
const QUEUES = ["orders", "tickets", "payments"].map((service) => `rival.${service}`);

export interface Rival {
  readonly port: number;
  /** The headers of a signed-in user. */
  readonly headers: Readonly<Record<string, string>>;
  readonly database: mongo.Db;
  readonly processes: readonly Measured[];
  /** Whether every queue is empty. */
  isDelivered(): Promise<boolean>;
  stop(): Promise<void>;
}

/** Starts the rival, with a MongoDB server of its own and a virtual host of the same RabbitMQ. */
export async function startRival({ system }: Marketplace): Promise<Rival> {
  const dir = await mkdtemp(join(tmpdir(), "ticketing-rival-"));
  const store = await startStandalone(dir);
  const amqpUrl = (await system.parts.rabbit?.createVhost(VHOST)) ?? "";
  const secret = crypto.randomUUID();
  const { child, ports } = await startServer<{ port: number }>(
    RIVAL,
    join(import.meta.dirname, "main.ts"),
    {
      RIVAL_MONGO_URL: store.url,
      RIVAL_AMQP_URL: amqpUrl,
      RIVAL_SECRET: secret,
      NODE_ENV: "production",
    },
  );
  const client = await new mongo.MongoClient(store.url).connect();
  const broker = await connect(amqpUrl, { noDelay: true });
  const channel = await broker.createChannel();
  const token = jwt.sign({ id: crypto.randomUUID(), email: "user@example.com" }, secret);
  return {
    port: ports.port,
    headers: { cookie: `${COOKIE}=${token}`, "content-type": "application/json" },
    database: client.db(DATABASE),
    processes: [child, store.child].map(({ name, pid }) => ({ name, pid })),
    async isDelivered() {
      for (const queue of QUEUES) {
        if ((await channel.checkQueue(queue)).messageCount > 0) return false;
      }
      return true;
    },
    async stop() {
      await client.close();
      await broker.close();
      await child.stop();
      await store.child.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** A MongoDB server that is no replica set: its default write concern waits for memory, not for the disk. */
async function startStandalone(dir: string) {
  const { mongod } = await ensureTools(["mongod"]);
  const port = await freePort();
  const data = join(dir, "mongo");
  await mkdir(data);
  const child = run(RIVAL_MONGO, mongod, [
    ...["--dbpath", data, "--port", `${port}`, "--bind_ip", "127.0.0.1", "--nounixsocket"],
    ...["--wiredTigerCacheSizeGB", "0.25", "--quiet"],
    ...["--setParameter", "diagnosticDataCollectionEnabled=false"],
  ]);
  await until(() => isListening(port), { what: "the rival's MongoDB to listen", child });
  return { child, url: `mongodb://127.0.0.1:${port}/${DATABASE}` };
}
