import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "amqplib";
import { mongo as driver } from "mongoose";
import { createClient } from "redis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Parts, startParts } from "./parts.ts";
import { until } from "#stack/process";

const dir = mkdtempSync(join(tmpdir(), "parts-"));
const node = "ticketing@localhost";
const names = join(dir, "rabbit/data", node, "quorum", node, "names.dets");
let parts: Parts;

beforeAll(async () => {
  parts = await startParts({ dir, services: ["auth", "orders"], log: () => {} });
  await declare(parts, "kept");
  // The broker stores a new queue a second later, and loses it if it is killed before.
  const stored = () => readFileSync(names).includes("ticketing_kept");
  await until(stored, { what: "the queue to be stored" });
}, 120_000);

afterAll(async () => {
  await parts?.stop();
  rmSync(dir, { recursive: true });
}, 30_000);

test("a second process cannot start parts in the same folder", async () => {
  const again = startParts({ dir, services: [], log: () => {} });
  await expect(again).rejects.toThrow(`in use by process ${process.pid}`);
});

test("a service has access to its own database only", async () => {
  await using client = await new driver.MongoClient(parts.mongoUrl("orders")).connect();
  await client.db("orders").collection("things").insertOne({});
  await expect(client.db("auth").collection("things").findOne()).rejects.toThrow(/not authorized/);
  await expect(client.db("admin").command({ usersInfo: 1 })).rejects.toThrow(/not authorized/);
});

test("a service has no access to the broker's management API and to other virtual hosts", async () => {
  const { rabbit } = parts;
  const { username, password } = new URL(parts.amqpUrl("orders"));
  const authorization = `Basic ${btoa(`${username}:${password}`)}`;
  const answer = await fetch(`${rabbit?.management.url}/api/users`, { headers: { authorization } });
  expect(answer.status).toBe(401);
  const theirs = await rabbit?.createVhost("tests");
  const inTests = new URL(new URL(theirs ?? "").pathname, parts.amqpUrl("orders"));
  await expect(connect(inTests.href)).rejects.toThrow(/403|ACCESS_REFUSED|Expected/);
  await rabbit?.deleteVhost("tests");
});

test("the broker has no guest user, Redis needs its password, and only the owner can read the passwords", async () => {
  const guest = new URL(parts.amqpUrl("orders"));
  Object.assign(guest, { username: "guest", password: "guest" });
  await expect(connect(guest.href)).rejects.toThrow();
  await expect(ping(parts.redisUrl.replace(/\/\/.*@/, "//"))).rejects.toThrow(/NOAUTH/);
  expect(statSync(join(dir, "secrets.json")).mode & 0o777).toBe(0o600);
});

test(
  "all parts keep acknowledged writes when they are killed at once",
  { timeout: 120_000 },
  async () => {
    await store(parts);
    await declare(parts, "new"); // The broker can lose its messages, but must not hang.
    const each = [parts.mongo, parts.rabbit, parts.redis];
    for (const part of each) part?.kill("SIGKILL");
    await Promise.all(each.map((part) => part?.restart()));
    expect(await read(parts)).toEqual({ document: 1, message: "kept", value: "kept" });
    expect(await take(parts, "new")).toBeUndefined();
  },
);

async function store(to: Parts): Promise<void> {
  await using client = await new driver.MongoClient(to.mongoUrl("auth")).connect();
  await client.db().collection("kept").insertOne({});

  const broker = await connect(to.rabbit?.adminUrl ?? "");
  const channel = await broker.createConfirmChannel();
  channel.sendToQueue("kept", Buffer.from("kept"), { persistent: true });
  await channel.waitForConfirms();
  await broker.close();

  const redis = await createClient({ url: to.redisUrl }).connect();
  await redis.set("kept", "kept");
  redis.destroy();
}

async function read(from: Parts) {
  await using client = await new driver.MongoClient(from.mongoUrl("auth")).connect();
  const document = await client.db().collection("kept").countDocuments();

  const message = await take(from, "kept");

  const redis = await createClient({ url: from.redisUrl }).connect();
  const value = await redis.get("kept");
  redis.destroy();
  return { document, message, value };
}

async function declare(at: Parts, queue: string): Promise<void> {
  const broker = await connect(at.rabbit?.adminUrl ?? "");
  const channel = await broker.createChannel();
  await channel.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await broker.close();
}

async function take(from: Parts, queue: string): Promise<string | undefined> {
  const broker = await connect(from.rabbit?.adminUrl ?? "");
  const channel = await broker.createChannel();
  const message = await channel.get(queue);
  await broker.close();
  return message ? message.content.toString() : undefined;
}

async function ping(url: string): Promise<void> {
  const client = createClient({ url, socket: { reconnectStrategy: false } }).on("error", () => {});
  await client.connect();
  await client.ping().finally(() => client.destroy());
}
