import { fromBinary } from "@bufbuild/protobuf";
import { Int64ValueSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import type { GetMessage } from "amqplib";
import { Schema } from "mongoose";
import { describe, expect, it, onTestFinished } from "vitest";
import { onSaved, aggregate, record, update, type AggregateFields } from "../store/aggregate.ts";
import type { Broker } from "./broker/broker.ts";
import { newId } from "../store/ids.ts";
import { buildIndexes } from "../store/indexes.ts";
import type { Log } from "../log.ts";
import { eventCounter } from "../metrics.ts";
import { relay } from "./relay.ts";
import { EVENTS_EXCHANGE } from "./topology/topology.ts";
import { eventually } from "../testing/eventually.ts";
import { recordedLog, silentLog } from "../testing/log.ts";
import { testBroker, testVhost } from "../testing/broker.ts";
import { testDatabase } from "../testing/database.ts";
import { testProxy } from "../testing/proxy.ts";

const schema = new Schema<AggregateFields>({});
aggregate(schema);
const db = await testDatabase();
const url = await testVhost();
// A service subscribes to words; no service subscribes to numbers.
const subscriptions = { listener: [StringValueSchema] };
const broker = await testBroker("things", subscriptions, { url });
const { raw } = broker;
const WORD = StringValueSchema.typeName;

/** A collection for a single test. */
async function collection() {
  const things = db.model(`Thing${newId()}`, schema, newId());
  await buildIndexes(things);
  await raw.purgeQueue("listener");
  return things;
}
type Things = Awaited<ReturnType<typeof collection>>;

/** Relays the events of the collection until the test ends. */
function start(things: Things, options: { broker?: Broker; log?: Log } = {}) {
  const running = relay(things, {
    service: "things",
    broker,
    subscriptions,
    log: silentLog,
    ...options,
  });
  onSaved(things, running.enqueue);
  onTestFinished(() => running.close());
  return running;
}

/** Saves a new document with these words as events. */
function say(things: Things, ...words: string[]) {
  const thing = new things();
  for (const value of words) record(thing, StringValueSchema, () => ({ value }));
  return thing.save();
}

const arrived = (what: string): Promise<GetMessage> =>
  eventually(() => raw.get("listener", { noAck: true }), what);

const wordIn = (body: Uint8Array): string => fromBinary(StringValueSchema, body).value;
const wordOf = ({ content }: GetMessage): string => wordIn(content);

/** Consumes everything that has arrived. */
async function allWords(): Promise<string[]> {
  const { messageCount } = await raw.checkQueue("listener");
  const words: string[] = [];
  while (words.length < messageCount) words.push(wordOf(await arrived("the next")));
  return words;
}

/** A broker behind a proxy that can close the connection. */
async function shakyBroker() {
  const line = await testProxy(Number(new URL(url).port));
  const through = new URL(url);
  through.port = String(line.port);
  return { line, broker: await testBroker("things", subscriptions, { url: through.href }) };
}

const waiting = (things: Things): Promise<number> =>
  // The relay removes what is published without waiting for the majority.
  things
    .countDocuments({ "outbox._id": { $exists: true } })
    .readConcern("local")
    .exec();

const allPublished = (things: Things): Promise<boolean> =>
  eventually(async () => (await waiting(things)) === 0, "the outbox to be empty");

describe("a saved event", () => {
  it("is published immediately, and removed when the broker has confirmed it", async () => {
    const things = await collection();
    const { log, lines } = recordedLog();
    start(things, { log });
    const { _id, outbox } = await say(things, "hello");
    const message = await arrived("the event");
    expect(wordOf(message)).toBe("hello");
    await allPublished(things);
    expect(message.fields).toMatchObject({ exchange: EVENTS_EXCHANGE, routingKey: WORD });
    expect(message.properties).toMatchObject({
      messageId: outbox[0]?._id,
      type: WORD,
      contentType: "application/protobuf",
      deliveryMode: 2,
      headers: {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:id": outbox[0]?._id,
        "cloudEvents:type": WORD,
        "cloudEvents:source": "/ticketing/things",
        "cloudEvents:subject": _id,
        "cloudEvents:time": outbox[0]?.time.toISOString(),
      },
    });
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: `published ${WORD} ${_id}`, event: "published", id: _id }),
    );
  });

  it("is found by the sweep after a crash", async () => {
    const things = await collection();
    await say(things, "left behind");
    start(things);
    expect(wordOf(await arrived("the event"))).toBe("left behind");
    await allPublished(things);
  });

  it("is published before the relay stops", async () => {
    const things = await collection();
    const running = start(things);
    const made = await Promise.all(Array.from({ length: 100 }, (_, i) => say(things, `${i}`)));
    await running.close();
    expect(await waiting(things)).toBe(0);
    expect((await raw.checkQueue("listener")).messageCount).toBe(made.length);
  });

  it("stays while the binding of a subscriber is missing, and is published when it is back (P8)", async () => {
    const things = await collection();
    const { log, lines } = recordedLog();
    await raw.unbindQueue("listener", EVENTS_EXCHANGE, WORD);
    start(things, { log });
    await say(things, "for later");
    const refused = (): boolean => lines.some(({ msg }) => String(msg).includes("not published"));
    await eventually(refused, "the broker to reject it");
    const { values } = await eventCounter.get();
    expect(values).toContainEqual(
      expect.objectContaining({ labels: { outcome: "refused", type: WORD } }),
    );
    expect(await waiting(things)).toBe(1);
    await raw.bindQueue("listener", EVENTS_EXCHANGE, WORD);
    expect(wordOf(await arrived("the event"))).toBe("for later");
    await allPublished(things);
  });

  it("is published although no service subscribes to its type", async () => {
    const things = await collection();
    start(things);
    const thing = new things();
    record(thing, Int64ValueSchema, () => ({ value: 1n }));
    await thing.save();
    await allPublished(things);
  });

  it("is published after the earlier events of the same aggregate", async () => {
    const things = await collection();
    start(things);
    const first = Array.from({ length: 20 }, (_, i) => `${i}`);
    const { _id } = await say(things, ...first);
    for (let i = 20; i < 40; i += 1) {
      await update(things, _id, (thing) => {
        record(thing, StringValueSchema, () => ({ value: `${i}` }));
      });
    }
    await allPublished(things);
    const words = await allWords();
    // Duplicates are allowed, so only the first occurrence of each event counts.
    expect([...new Set(words)]).toEqual(Array.from({ length: 40 }, (_, i) => `${i}`));
  });

  it("is not lost when the connection to the broker is lost repeatedly (P6, P7, P24)", async () => {
    const things = await collection();
    const { line, broker: shaky } = await shakyBroker();
    start(things, { broker: shaky });
    for (let round = 0; round < 10; round += 1) {
      const saving = Array.from({ length: 30 }, async (_, i) => {
        if (i === 15) line.cut();
        return say(things, `${round} ${i}`);
      });
      await Promise.all(saving);
      await eventually(() => !shaky.connected, "the loss to be detected");
      expect(await waiting(things)).toBeGreaterThan(0);
      line.mend();
      await eventually(() => shaky.connected, "the broker to be available");
    }
    await allPublished(things);
    expect(new Set(await allWords()).size).toBe(300);
  });

  it("is published although more IDs than the relay keeps are waiting when its retry is due", async () => {
    const things = await collection();
    const ready = Promise.withResolvers<void>();
    let rejections = 0;
    const slow = Object.create(broker, {
      publish: {
        async value(...args: Parameters<Broker["publish"]>) {
          if (wordIn(args[2]) === "refused" && rejections < 1) {
            rejections += 1;
            throw new Error("refused once");
          }
          await ready.promise;
          return broker.publish(...args);
        },
      },
    }) as Broker;
    start(things, { broker: slow });
    await say(things, "refused");
    await eventually(() => rejections === 1, "the rejection");
    const refusedAt = performance.now();
    for (let i = 0; i < 12; i += 1) {
      await Promise.all(Array.from({ length: 100 }, (_, j) => say(things, `${i} ${j}`)));
    }
    await eventually(() => performance.now() - refusedAt > 1_500, "its delay to be over");
    ready.resolve();
    await allPublished(things);
  });

  it("stays in the database while the broker is unavailable, however many events there are", async () => {
    const things = await collection();
    const { line, broker: shaky } = await shakyBroker();
    line.cut();
    await eventually(() => !shaky.connected, "the connection to be lost");
    start(things, { broker: shaky });
    // More IDs than the relay keeps in memory.
    const many = Array.from({ length: 1_500 }, (_, i) => i);
    for (let i = 0; i < many.length; i += 100) {
      await Promise.all(many.slice(i, i + 100).map((word) => say(things, `${word}`)));
    }
    expect(await waiting(things)).toBe(many.length);
    line.mend();
    await allPublished(things);
    expect(new Set(await allWords()).size).toBe(many.length);
  });
});
