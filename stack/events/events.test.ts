import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { create, toBinary } from "@bufbuild/protobuf";
import { OrderCreatedSchema } from "@ticketing/proto/orders/v1/order_events";
import { connect, type ChannelModel, type ConfirmChannel } from "amqplib";
import { mongo as driver } from "mongoose";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { catalogue } from "#marketplace/catalogue.ts";
import { toProperties } from "#runtime/messaging/topology/envelope.ts";
import {
  deadLetterQueue,
  declareTopology,
  EVENTS_EXCHANGE,
} from "#runtime/messaging/topology/topology.ts";
import { until } from "#stack/process";
import { manage, type Mongo, type Rabbit, startMongo, startRabbit } from "#stack/parts";
import { consumers } from "./dead-letters/dead-letter.ts";
import { listDeadLetters } from "./dead-letters/list.ts";
import { depth } from "./dead-letters/queue.ts";

const VHOST = "test";
const TYPE = OrderCreatedSchema.typeName;
const dir = mkdtempSync(join(tmpdir(), "events-"));
let rabbit: Rabbit;
let mongo: Mongo;
let amqp: string;
let connection: ChannelModel;
let channel: ConfirmChannel;

beforeAll(async () => {
  const options = { secret: () => "secret", log: () => {} };
  [rabbit, mongo] = await Promise.all([
    startRabbit({ dir: join(dir, "rabbit"), services: [], ...options }),
    startMongo({ dir: join(dir, "mongo"), databases: ["tickets"], ...options }),
  ]);
  amqp = await rabbit.createVhost(VHOST);
  connection = await connect(amqp);
  channel = await connection.createConfirmChannel();
  await declareTopology(channel, catalogue);
}, 120_000);

afterEach(async () => {
  for (const queue of consumers.flatMap((name) => [name, deadLetterQueue(name)]))
    await channel.purgeQueue(queue);
});

afterAll(async () => {
  await connection?.close();
  await Promise.all([rabbit?.stop(), mongo?.stop()]);
  rmSync(dir, { recursive: true });
}, 30_000);

type Command = ChildProcessByStdio<null, Readable, Readable>;

/** Starts the command as a user does, on the broker of this test. */
function start(args: readonly string[], env: Record<string, string> = {}): Command {
  const { url, user, password } = rabbit.management;
  const managementUrl = url.replace("//", `//${user}:${password}@`);
  return spawn(process.execPath, [join(import.meta.dirname, "main.ts"), ...args], {
    env: { ...process.env, AMQP_URI: amqp, RABBITMQ_MANAGEMENT_URI: managementUrl, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** The output of the command and its exit code. */
async function run(
  args: readonly string[],
  env?: Record<string, string>,
): Promise<{ out: string; err: string; code: number | null }> {
  const child = start(args, env);
  const ended = once(child, "close") as Promise<[number | null]>;
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { out, err, code };
}

/** A running `tail` that shows what is published from now on. */
async function watch(...args: string[]): Promise<{
  child: Command;
  lines: () => string[];
  stop: () => Promise<number | null>;
}> {
  const child = start(["tail", ...args]);
  let out = "";
  let err = "";
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (err += data.toString()));
  const ended = once(child, "close") as Promise<[number | null]>;
  await until(() => err.includes("Watching"), { what: "tail to watch" });
  return {
    child,
    lines: () => out.split("\n").slice(0, -1),
    async stop() {
      child.kill("SIGINT");
      return (await ended)[0];
    },
  };
}

const body = (id: string): Buffer =>
  Buffer.from(
    toBinary(
      OrderCreatedSchema,
      create(OrderCreatedSchema, { order: { id, ticketId: `of-${id}` } }),
    ),
  );

const envelope = (id: string) =>
  toProperties({ id: `e-${id}`, type: TYPE, source: "orders", subject: id, time: new Date() });

function publish(id: string): void {
  channel.publish(EVENTS_EXCHANGE, TYPE, body(id), envelope(id));
}

/** Adds a dead letter of tickets, as its consumer does. */
function addDeadLetter(id: string, reason = "no such ticket"): void {
  const { headers, ...properties } = envelope(id);
  const failure = { "x-ticketing-tries": 5, "x-ticketing-reason": reason };
  const origin = { "x-ticketing-origin": "tickets" };
  const all = { ...headers, ...failure, ...origin };
  channel.sendToQueue("tickets.dead", body(id), { ...properties, headers: all, persistent: true });
}

const dead = (limit = 100) => listDeadLetters(channel, ["tickets"], limit);
const idsOf = async (): Promise<string[]> => (await dead()).deadLetters.map(({ id }) => id);
const ready = (queue: string, count: number): Promise<boolean> =>
  until(async () => (await depth(channel, queue)) === count, { what: `${count} in ${queue}` });

describe("tail", () => {
  it("shows each event in one line, and ends quietly on Ctrl-C", async () => {
    const { lines, stop } = await watch();
    publish("o1");
    channel.publish(EVENTS_EXCHANGE, "any", Buffer.from("noise\n"), { type: "nobody.Knows" });
    await until(() => lines().length === 2, { what: "two lines" });
    expect(lines()[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} OrderCreated +o1 +orders +ticketId=of-o1$/);
    expect(lines()[1]).toMatch(/^ +nobody\.Knows +\(6 bytes, unknown type\)$/);
    expect(lines().join()).not.toContain("\u001B");
    expect(await stop()).toBe(0);
  });

  it("filters by type and by the end of any ID, and prints JSON", async () => {
    const { lines, stop } = await watch("--type", "order*", "--id", "f-o2", "--json");
    channel.publish(EVENTS_EXCHANGE, "nobody.Knows", Buffer.from("of-o2"));
    for (const id of ["o1", "o2", "o3"]) publish(id);
    await until(() => lines().length > 0, { what: "a line" });
    expect(await stop()).toBe(0);
    expect(lines().map((line) => JSON.parse(line) as unknown)).toEqual([
      {
        id: "e-o2",
        time: expect.any(String),
        type: TYPE,
        subject: "o2",
        source: "orders",
        data: { order: { id: "o2", ticketId: "of-o2" } },
      },
    ]);
  });

  it("does not slow the broker when its reader has stopped", { timeout: 90_000 }, async () => {
    const { child, stop } = await watch();
    child.kill("SIGSTOP");
    const count = 2_000;
    for (let i = 0; i < count; i += 1) publish(`o${i}`);
    await channel.waitForConfirms();
    await ready("tickets", count);
    const path = `queues/${VHOST}`;
    const exclusives = async (): Promise<Record<string, unknown>[]> => {
      const queues = (await manage(rabbit.management, "GET", path)) as Record<string, unknown>[];
      return queues.filter(({ exclusive }) => exclusive === true);
    };
    // The broker can still be deleting the queues of earlier watchers.
    await until(async () => (await exclusives()).length === 1, { what: "its queue alone" });
    expect(await exclusives()).toEqual([
      expect.objectContaining({
        auto_delete: true,
        arguments: expect.objectContaining({ "x-max-length": 10_000, "x-overflow": "drop-head" }),
      }),
    ]);
    child.kill("SIGCONT");
    expect(await stop()).toBe(0);
  });

  it("ends when its output pipe is closed", async () => {
    const { child, lines } = await watch();
    publish("o1");
    await until(() => lines().length === 1, { what: "a line" });
    const ended = once(child, "exit") as Promise<[number | null]>;
    child.stdout.destroy();
    publish("o2");
    expect((await ended)[0]).toBe(0);
  });

  it("reconnects after it has lost the broker", async () => {
    const { child, lines, stop } = await watch();
    let err = "";
    child.stderr.on("data", (data: Buffer) => (err += data.toString()));
    const connections = (): Promise<
      { name: string; vhost: string; user_provided_name: string }[]
    > => manage(rabbit.management, "GET", "connections") as Promise<never>;
    const own = await until(
      async () =>
        (await connections()).find(
          (one) => one.vhost === VHOST && one.user_provided_name === "events tail",
        ),
      { what: "the connection" },
    );
    await manage(rabbit.management, "DELETE", `connections/${encodeURIComponent(own.name)}`);
    await until(() => err.includes("Watching"), { what: "tail to watch again" });
    publish("o1");
    await until(() => lines().length === 1, { what: "a line" });
    expect(err).toMatch(/^Lost the connection to the broker\. Waiting to reconnect\.$/m);
    expect(await stop()).toBe(0);
  });
});

describe("dead", () => {
  it("lists dead letters with their reasons, and leaves them in the queue", async () => {
    const reason = `no such ticket${"!".repeat(200)}`;
    addDeadLetter("o1", reason);
    channel.sendToQueue("tickets.dead", Buffer.from([7]), { headers: {} });
    await ready("tickets.dead", 2);
    const { out, code } = await run(["dead"]);
    expect(out.trim().split("\n")).toEqual([
      expect.stringMatching(/^SERVICE +AGE +TRIES +TYPE +ID +SUBJECT +REASON$/),
      expect.stringMatching(/^tickets +\d+ s +5 +OrderCreated +e-o1 +o1 +no such ticket!{200}$/),
      expect.stringMatching(/^tickets +- +- +- +- +- +unknown$/),
    ]);
    expect(code).toBe(0);
    await ready("tickets.dead", 2);
  });

  it("keeps the order of the dead letters, however often it runs", async () => {
    const ids = ["o1", "o2", "o3"];
    for (const id of ids) addDeadLetter(id);
    await ready("tickets.dead", ids.length);
    // By default the broker drops a message at the 20th failed delivery.
    for (let round = 0; round < 25; round += 1) {
      expect(await idsOf()).toEqual(ids.map((id) => `e-${id}`));
      await ready("tickets.dead", ids.length);
    }
  });

  it("says how many dead letters it does not show", async () => {
    for (let i = 0; i < 5; i += 1) addDeadLetter(`o${i}`);
    await ready("tickets.dead", 5);
    const { out, err } = await run(["dead", "tickets", "--limit", "2", "--json"]);
    expect(out.trim().split("\n")).toHaveLength(2);
    expect(err).toBe("3 more not shown. Use --limit to show more.\n");
  });

  it("says that there are no dead letters", async () => {
    expect(await run(["dead"])).toEqual({ out: "", err: "No dead letters.\n", code: 0 });
  });
});

describe("replay", () => {
  it("sends one dead letter to its service without any trace of earlier tries", async () => {
    for (const id of ["o1", "o2", "o3"]) addDeadLetter(id);
    await ready("tickets.dead", 3);
    const { out, code } = await run(["replay", "tickets", "--id", "e-o2"]);
    expect(out).toBe("replayed e-o2 OrderCreated o2\n");
    expect(code).toBe(0);
    await ready("tickets.dead", 2);
    expect(await idsOf()).toEqual(["e-o1", "e-o3"]);
    const message = await until(() => channel.get("tickets", { noAck: true }), { what: "it" });
    expect(message.content).toEqual(body("o2"));
    const { headers, ...properties } = envelope("o2");
    const { "cloudEvents:time": _, ...kept } = headers as Record<string, string>;
    expect(message.properties).toMatchObject({ ...properties, deliveryMode: 2 });
    expect(message.properties.headers).toMatchObject(kept);
    expect(
      Object.keys(message.properties.headers ?? {}).filter((name) => /^x-/.test(name)),
    ).toEqual([]);
  });

  it("sends a dead letter in the name of its original publisher, so that a forged message is rejected again", async () => {
    const { headers, ...properties } = envelope("o1");
    const addFor = (userId: string, publisher: string): void => {
      const all = { ...(headers as object), "x-ticketing-publisher": publisher };
      const about = { ...properties, userId, headers: all, persistent: true };
      channel.sendToQueue("tickets.dead", body("o1"), about);
    };
    addFor("tickets", "expiration"); // By the consumer, which knows the publisher.
    addFor("expiration", "orders"); // By the broker itself, which leaves the message as it was.
    await ready("tickets.dead", 2);
    expect((await run(["replay", "tickets"])).code).toBe(0);
    await ready("tickets", 2);
    for (let i = 0; i < 2; i += 1) {
      const message = await channel.get("tickets", { noAck: true });
      expect(message && message.properties.userId).toBe("expiration");
    }
  });

  it("sends all dead letters, oldest first", async () => {
    const ids = Array.from({ length: 20 }, (_, i) => `o${i}`);
    for (const id of ids) addDeadLetter(id);
    await ready("tickets.dead", ids.length);
    const { out, err, code } = await run(["replay", "tickets"]);
    expect(out.trim().split("\n")).toEqual(ids.map((id) => `replayed e-${id} OrderCreated ${id}`));
    expect(err).toBe(
      "Replayed 20 to tickets. An event that fails again becomes a dead letter again.\n",
    );
    expect(code).toBe(0);
    await ready("tickets.dead", 0);
    await ready("tickets", ids.length);
  });

  it("keeps a dead letter that it cannot send", async () => {
    addDeadLetter("o1");
    await ready("tickets.dead", 1);
    await channel.deleteQueue("tickets");
    const { err, code } = await run(["replay", "tickets"]);
    await declareTopology(channel, catalogue);
    expect(err).toBe("Queue tickets does not exist.\n");
    expect(code).toBe(1);
    await ready("tickets.dead", 1);
  });

  it("names the IDs that no dead letter has", async () => {
    const { err, code } = await run(["replay", "tickets", "--id", "e-o9"]);
    expect(err).toContain("tickets has no dead letter with ID e-o9.");
    expect(code).toBe(1);
  });
});

describe("stats", () => {
  const heads = /^SERVICE +READY +UNACKED +CONSUMERS +DEAD +OLDEST +OUTBOX +OLDEST\n/;

  it("shows the queue, the dead letters and the outbox of each service", async () => {
    const MONGODB_URI = mongo.databaseUrl("any");
    await using client = await new driver.MongoClient(MONGODB_URI).connect();
    const tickets = client.db("tickets").collection("tickets");
    await tickets.createIndex({ "outbox._id": 1 });
    const time = new Date(Date.now() - 2 * 3_600_000);
    await tickets.insertOne({ outbox: [{ _id: "e1", time }, { _id: "e2" }] });
    for (const id of ["o1", "o2"]) publish(id);
    addDeadLetter("o3");
    await ready("tickets", 2);
    await ready("tickets.dead", 1);
    await channel.get("tickets");
    // The management API alone knows unacknowledged messages, and it counts every few seconds.
    const out = await until(
      async () => {
        const { out } = await run(["stats"], { MONGODB_URI });
        return /^tickets +\d+ +1 /m.test(out) && out;
      },
      { what: "the numbers" },
    );
    await channel.nackAll();
    expect(out).toMatch(heads);
    expect(out).toMatch(/^auth +0 +0 +0 +0 +0$/m);
    expect(out).toMatch(/^tickets +1 +1 +\d +1 +\d+ s +2 +2 h$/m);
    expect(out).toMatch(
      /^WAITING FOR +0\.2 s +1 s +10 s +60 s +600 s +900 s\nmessages +0( +0){5}$/m,
    );
  });

  it("shows the outboxes when the broker is unreachable", async () => {
    const env = { AMQP_URI: "amqp://127.0.0.1:1", MONGODB_URI: mongo.databaseUrl("any") };
    const { out, err, code } = await run(["stats"], env);
    expect(out).toMatch(/^auth +- +- +- +- +0$/m);
    expect(err).toMatch(/^Cannot connect to the broker at /);
    expect(code).toBe(1);
  });

  it("shows what it can read without the management API, and marks a database that does not respond", async () => {
    publish("o1");
    await ready("tickets", 1);
    const env = { RABBITMQ_MANAGEMENT_URI: "", MONGODB_URI: "" };
    const nowhere = "mongodb://127.0.0.1:1/?directConnection=true";
    const [{ out, code }, { out: withoutDatabase }] = await Promise.all([
      run(["stats"], env),
      run(["stats"], { ...env, MONGODB_URI: nowhere }),
    ]);
    expect(out).toMatch(/^tickets +1 +- +0 +0 +-$/m);
    expect(code).toBe(0);
    expect(withoutDatabase).toMatch(/^tickets +1 +- +0 +0 +no answer$/m);
  });
});

describe("an error", () => {
  const mistakes: [string[], Record<string, string>, number, RegExp][] = [
    [
      ["dead"],
      { AMQP_URI: "amqp://a:hush@127.0.0.1:1" },
      1,
      /^Cannot connect to the broker at 127\.0\.0\.1:1 /,
    ],
    [["tail"], { AMQP_URI: "here" }, 1, /^AMQP_URI is not a URL/],
    [[], {}, 2, /^npm run events -- <command>/],
    [["purge"], {}, 2, /^Unknown command "purge"/],
    [["tail", "--fast"], {}, 2, /^Unknown option '--fast'/],
    [["stats", "tickets"], {}, 2, /^Too many arguments for "stats"/],
    [["dead", "cinema"], {}, 2, /^Unknown service "cinema"/],
    [["replay"], {}, 2, /^replay requires a service/],
    [["dead", "--limit", "few"], {}, 2, /^--limit must be a positive integer/],
  ];

  it("is reported in one line", async () => {
    await Promise.all(
      mistakes.map(async ([args, env, code, words]) => {
        const result = await run(args, env);
        expect(result.err).toMatch(words);
        expect(result).toMatchObject({ out: "", code });
        expect(result.err).not.toMatch(/hush| at file/);
      }),
    );
  });

  it("is reported in one line on a broker where no service has run", async () => {
    const empty = await rabbit.createVhost("empty");
    for (const [args, words] of [
      [["tail"], "Exchange ticketing.events does not exist"],
      [["dead"], "Queue auth.dead does not exist"],
    ] as const) {
      const { err, code } = await run(args, { AMQP_URI: empty });
      expect(err).toContain(words);
      expect(code).toBe(1);
    }
    await rabbit.deleteVhost("empty");
  });

  it("does not occur when help is requested", async () => {
    const { out, code } = await run(["--help"], { AMQP_URI: "" });
    for (const command of ["tail", "dead", "replay", "stats"]) expect(out).toContain(command);
    expect(code).toBe(0);
  });
});
