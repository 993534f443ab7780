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
import { toProperties } from "#runtime/messaging/envelope.ts";
import { deadQueue, declareTopology, EVENTS } from "#runtime/messaging/topology.ts";
import { until } from "#stack/process";
import { manage, type Mongo, type Rabbit, startMongo, startRabbit } from "#stack/parts";
import { listDead } from "./dead-letter-list.ts";
import { depth, services } from "./dead-letters.ts";

const VHOST = "test";
const TYPE = OrderCreatedSchema.typeName;
const dir = mkdtempSync(join(tmpdir(), "events-"));
let rabbit: Rabbit;
let mongo: Mongo;
let amqp: string;
let connection: ChannelModel;
let channel: ConfirmChannel;

beforeAll(async () => {
  const told = { secret: () => "secret", log: () => {} };
  [rabbit, mongo] = await Promise.all([
    startRabbit({ dir: join(dir, "rabbit"), services: [], ...told }),
    startMongo({ dir: join(dir, "mongo"), databases: ["tickets"], ...told }),
  ]);
  amqp = await rabbit.createVhost(VHOST);
  connection = await connect(amqp);
  channel = await connection.createConfirmChannel();
  await declareTopology(channel, catalogue);
}, 120_000);

afterEach(async () => {
  for (const queue of services.flatMap((name) => [name, deadQueue(name)]))
    await channel.purgeQueue(queue);
});

afterAll(async () => {
  await connection?.close();
  await Promise.all([rabbit?.stop(), mongo?.stop()]);
  rmSync(dir, { recursive: true });
}, 30_000);

type Command = ChildProcessByStdio<null, Readable, Readable>;

/** Starts the command as a person would, on the broker of this test. */
function start(args: readonly string[], env: Record<string, string> = {}): Command {
  const { url, user, password } = rabbit.management;
  const page = url.replace("//", `//${user}:${password}@`);
  return spawn(process.execPath, [join(import.meta.dirname, "main.ts"), ...args], {
    env: { ...process.env, AMQP_URI: amqp, RABBITMQ_MANAGEMENT_URI: page, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** What the command said, and with which code it ended. */
async function run(
  args: readonly string[],
  env?: Record<string, string>,
): Promise<{ out: string; err: string; code: number | null }> {
  const child = start(args, env);
  const ended = once(child, "close") as Promise<[number | null]>;
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { out, err, code };
}

/** A running `tail` that sees what is published from now on. */
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
  channel.publish(EVENTS, TYPE, body(id), envelope(id));
}

/** Puts a letter among the dead of tickets, as its consumer would. */
function bury(id: string, reason = "no such ticket"): void {
  const { headers, ...properties } = envelope(id);
  const told = { "x-ticketing-tries": 5, "x-ticketing-reason": reason };
  const origin = { "x-ticketing-origin": "tickets" };
  const all = { ...headers, ...told, ...origin };
  channel.sendToQueue("tickets.dead", body(id), { ...properties, headers: all, persistent: true });
}

const dead = (limit = 100) => listDead(channel, ["tickets"], limit);
const idsOf = async (): Promise<string[]> => (await dead()).letters.map(({ id }) => id);
const ready = (queue: string, count: number): Promise<boolean> =>
  until(async () => (await depth(channel, queue)) === count, { what: `${count} in ${queue}` });

describe("tail", () => {
  it("shows each event in one line, and ends quietly at Ctrl-C", async () => {
    const { lines, stop } = await watch();
    publish("o1");
    channel.publish(EVENTS, "any", Buffer.from("noise\n"), { type: "nobody.Knows" });
    await until(() => lines().length === 2, { what: "two lines" });
    expect(lines()[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} OrderCreated +o1 +orders +ticketId=of-o1$/);
    expect(lines()[1]).toMatch(/^ +nobody\.Knows +\(6 bytes, unknown type\)$/);
    expect(lines().join()).not.toContain("\u001B");
    expect(await stop()).toBe(0);
  });

  it("picks by type and by the end of any id, and speaks JSON", async () => {
    const { lines, stop } = await watch("--type", "order*", "--id", "f-o2", "--json");
    channel.publish(EVENTS, "nobody.Knows", Buffer.from("of-o2"));
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

  it("slows nobody, though its reader has stopped", { timeout: 90_000 }, async () => {
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
    // Those of watchers before may still be on their way out.
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

  it("ends with the pipe that it writes into", async () => {
    const { child, lines } = await watch();
    publish("o1");
    await until(() => lines().length === 1, { what: "a line" });
    const ended = once(child, "exit") as Promise<[number | null]>;
    child.stdout.destroy();
    publish("o2");
    expect((await ended)[0]).toBe(0);
  });

  it("goes on after the broker was gone", async () => {
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
    expect(err).toMatch(/^The broker is gone; waiting for it\.$/m);
    expect(await stop()).toBe(0);
  });
});

describe("dead", () => {
  it("lists what could not be handled, with the reason, and leaves it there", async () => {
    const reason = `no such ticket${"!".repeat(200)}`;
    bury("o1", reason);
    channel.sendToQueue("tickets.dead", Buffer.from([7]), { headers: {} });
    await ready("tickets.dead", 2);
    const { out, code } = await run(["dead"]);
    expect(out.trim().split("\n")).toEqual([
      expect.stringMatching(/^SERVICE +AGE +TRIES +TYPE +ID +SUBJECT +REASON$/),
      expect.stringMatching(/^tickets +\d+ s +5 +OrderCreated +e-o1 +o1 +no such ticket!{200}$/),
      expect.stringMatching(/^tickets +- +- +- +- +- +nobody said$/),
    ]);
    expect(code).toBe(0);
    await ready("tickets.dead", 2);
  });

  it("can be asked any number of times, and the letters stay in their order", async () => {
    const ids = ["o1", "o2", "o3"];
    for (const id of ids) bury(id);
    await ready("tickets.dead", ids.length);
    // By default the broker throws a message away at the 20th failed delivery.
    for (let look = 0; look < 25; look += 1) {
      expect(await idsOf()).toEqual(ids.map((id) => `e-${id}`));
      await ready("tickets.dead", ids.length);
    }
  });

  it("says how many more there are", async () => {
    for (let i = 0; i < 5; i += 1) bury(`o${i}`);
    await ready("tickets.dead", 5);
    const { out, err } = await run(["dead", "tickets", "--limit", "2", "--json"]);
    expect(out.trim().split("\n")).toHaveLength(2);
    expect(err).toBe("… and 3 more; --limit shows them.\n");
  });

  it("says so where there are none", async () => {
    expect(await run(["dead"])).toEqual({ out: "", err: "No dead letters.\n", code: 0 });
  });
});

describe("replay", () => {
  it("sends one letter to its service as if it had never been tried", async () => {
    for (const id of ["o1", "o2", "o3"]) bury(id);
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

  it("sends a letter in the name of who published it at first, so that a forged one stays forged", async () => {
    const { headers, ...properties } = envelope("o1");
    const buried = (userId: string, publisher: string): void => {
      const all = { ...(headers as object), "x-ticketing-publisher": publisher };
      const about = { ...properties, userId, headers: all, persistent: true };
      channel.sendToQueue("tickets.dead", body("o1"), about);
    };
    buried("tickets", "expiration"); // By the consumer, which knows who it was.
    buried("expiration", "orders"); // By the broker itself, as it came.
    await ready("tickets.dead", 2);
    expect((await run(["replay", "tickets"])).code).toBe(0);
    await ready("tickets", 2);
    for (let i = 0; i < 2; i += 1) {
      const message = await channel.get("tickets", { noAck: true });
      expect(message && message.properties.userId).toBe("expiration");
    }
  });

  it("sends all that there are, oldest first", async () => {
    const ids = Array.from({ length: 20 }, (_, i) => `o${i}`);
    for (const id of ids) bury(id);
    await ready("tickets.dead", ids.length);
    const { out, err, code } = await run(["replay", "tickets"]);
    expect(out.trim().split("\n")).toEqual(ids.map((id) => `replayed e-${id} OrderCreated ${id}`));
    expect(err).toBe("20 sent to tickets again; what fails once more comes back to dead.\n");
    expect(code).toBe(0);
    await ready("tickets.dead", 0);
    await ready("tickets", ids.length);
  });

  it("keeps a letter that it cannot place", async () => {
    bury("o1");
    await ready("tickets.dead", 1);
    await channel.deleteQueue("tickets");
    const { err, code } = await run(["replay", "tickets"]);
    await declareTopology(channel, catalogue);
    expect(err).toBe("There is no queue tickets.\n");
    expect(code).toBe(1);
    await ready("tickets.dead", 1);
  });

  it("says which ids are of no letter", async () => {
    const { err, code } = await run(["replay", "tickets", "--id", "e-o9"]);
    expect(err).toContain("No dead letter of tickets has the id e-o9.");
    expect(code).toBe(1);
  });
});

describe("stats", () => {
  const heads = /^SERVICE +READY +UNACKED +CONSUMERS +DEAD +OLDEST +OUTBOX +OLDEST\n/;

  it("shows of each service its queue, its dead letters and its outbox", async () => {
    const MONGODB_URI = mongo.databaseUrl("any");
    await using client = await new driver.MongoClient(MONGODB_URI).connect();
    const tickets = client.db("tickets").collection("tickets");
    await tickets.createIndex({ "outbox._id": 1 });
    const time = new Date(Date.now() - 2 * 3_600_000);
    await tickets.insertOne({ outbox: [{ _id: "e1", time }, { _id: "e2" }] });
    for (const id of ["o1", "o2"]) publish(id);
    bury("o3");
    await ready("tickets", 2);
    await ready("tickets.dead", 1);
    await channel.get("tickets");
    // Only the management knows what is unacknowledged, and it counts every few seconds.
    const out = await until(
      async () => {
        const told = await run(["stats"], { MONGODB_URI });
        return /^tickets +\d+ +1 /m.test(told.out) && told.out;
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

  it("shows the outboxes also without a broker", async () => {
    const env = { AMQP_URI: "amqp://127.0.0.1:1", MONGODB_URI: mongo.databaseUrl("any") };
    const { out, err, code } = await run(["stats"], env);
    expect(out).toMatch(/^auth +- +- +- +- +0$/m);
    expect(err).toMatch(/^No broker answers at /);
    expect(code).toBe(1);
  });

  it("shows what any user may see, and says what gives no answer", async () => {
    publish("o1");
    await ready("tickets", 1);
    const env = { RABBITMQ_MANAGEMENT_URI: "", MONGODB_URI: "" };
    const nowhere = "mongodb://127.0.0.1:1/?directConnection=true";
    const [{ out, code }, { out: told }] = await Promise.all([
      run(["stats"], env),
      run(["stats"], { ...env, MONGODB_URI: nowhere }),
    ]);
    expect(out).toMatch(/^tickets +1 +- +0 +0 +-$/m);
    expect(code).toBe(0);
    expect(told).toMatch(/^tickets +1 +- +0 +0 +no answer$/m);
  });
});

describe("a mistake", () => {
  const mistakes: [string[], Record<string, string>, number, RegExp][] = [
    [
      ["dead"],
      { AMQP_URI: "amqp://a:hush@127.0.0.1:1" },
      1,
      /^No broker answers at 127\.0\.0\.1:1 /,
    ],
    [["tail"], { AMQP_URI: "here" }, 1, /^AMQP_URI is no URL/],
    [[], {}, 2, /^npm run events -- <command>/],
    [["purge"], {}, 2, /^No command "purge"/],
    [["tail", "--fast"], {}, 2, /^Unknown option '--fast'/],
    [["stats", "tickets"], {}, 2, /^Too many words after "stats"/],
    [["dead", "cinema"], {}, 2, /^No service "cinema" hears events/],
    [["replay"], {}, 2, /^Replay what\?/],
    [["dead", "--limit", "few"], {}, 2, /^--limit is a number/],
  ];

  it("is told in a line", async () => {
    await Promise.all(
      mistakes.map(async ([args, env, code, words]) => {
        const told = await run(args, env);
        expect(told.err).toMatch(words);
        expect(told).toMatchObject({ out: "", code });
        expect(told.err).not.toMatch(/hush| at file/);
      }),
    );
  });

  it("is told in a line, also of a broker where no service ever ran", async () => {
    const empty = await rabbit.createVhost("empty");
    for (const [args, words] of [
      [["tail"], "No exchange ticketing.events here"],
      [["dead"], "No queue auth.dead here"],
    ] as const) {
      const { err, code } = await run(args, { AMQP_URI: empty });
      expect(err).toContain(words);
      expect(code).toBe(1);
    }
    await rabbit.deleteVhost("empty");
  });

  it("is not needed to get help", async () => {
    const { out, code } = await run(["--help"], { AMQP_URI: "" });
    for (const command of ["tail", "dead", "replay", "stats"]) expect(out).toContain(command);
    expect(code).toBe(0);
  });
});
