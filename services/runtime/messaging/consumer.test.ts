import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create, toBinary } from "@bufbuild/protobuf";
import { Int64ValueSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import type { GetMessage } from "amqplib";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Broker } from "./broker/broker.ts";
import { toProperties } from "./topology/envelope.ts";
import { CallError } from "../errors.ts";
import { consume, on } from "./consumer.ts";
import { newId } from "../store/ids.ts";
import type { Log } from "../log.ts";
import { deadLetterQueue, EVENTS_EXCHANGE, delayKey, delayQueue } from "./topology/topology.ts";
import { eventually } from "../testing/eventually.ts";
import { recordedLog, silentLog } from "../testing/log.ts";
import { testBroker, testVhost, type TestBroker } from "../testing/broker.ts";
import { testProxy } from "../testing/proxy.ts";

const WORD = StringValueSchema.typeName;
const TRIES = "x-ticketing-tries";
const url = await testVhost();
// Each test has a consumer of its own, with its own queues.
const names = Array.from({ length: 30 }, (_, i) => `listener${i}`);
const subscriptions = Object.fromEntries(names.map((name) => [name, [] as never[]]));
const broker: TestBroker = await testBroker("teller", subscriptions, { url });
const { raw } = broker;

interface Listening {
  service: string;
  /** Publishes a word to its queue, with a number of previous tries. */
  tell(word: string, tries?: number): void;
  /** Stops its consumer. */
  stop(): Promise<void>;
}

interface Options {
  broker?: Broker;
  log?: Log;
  isFault?: (error: unknown) => boolean;
  recovered?: () => Promise<void>;
}

/** A service that consumes words. */
async function listen(
  handle: (word: string) => Promise<unknown>,
  options: Options = {},
): Promise<Listening> {
  const service = names.pop() as string;
  const stop = await consume({
    service,
    broker,
    handlers: [on(StringValueSchema, ({ value }) => handle(value))],
    publishers: (type) => (type === "" ? [] : ["teller"]), // A message without a type has no owner.
    log: silentLog,
    isFault: () => false,
    recovered: () => Promise.resolve(),
    ...options,
  });
  onTestFinished(stop);
  return {
    service,
    stop,
    tell(word, tries = 0) {
      const event = { id: newId(), type: WORD, source: "teller", subject: word, time: new Date() };
      const { headers, ...properties } = toProperties(event);
      const content = Buffer.from(
        toBinary(StringValueSchema, create(StringValueSchema, { value: word })),
      );
      raw.sendToQueue(service, content, {
        ...properties,
        userId: service,
        headers: { ...headers, ...(tries > 0 ? { [TRIES]: tries } : {}) },
      });
    },
  };
}

const from = (queue: string): Promise<GetMessage> =>
  eventually(() => raw.get(queue, { noAck: true }), `a message in ${queue}`);

/** The number of messages in the queue, ready or unacknowledged. */
const count = async (queue: string): Promise<number> => (await raw.checkQueue(queue)).messageCount;

/** A promise that the test settles. */
const deferred = <T = void>() => Promise.withResolvers<T>();

describe("a received event", () => {
  it("is acknowledged only when its effect is stored", async () => {
    const line = await testProxy(Number(new URL(url).port));
    const through = new URL(url);
    through.port = String(line.port);
    const shaky = await testBroker("listener", subscriptions, { url: through.href });
    const heard: string[] = [];
    const { promise: effect, resolve: happen } = deferred();
    const { service, tell, stop } = await listen(
      async (word) => {
        heard.push(word);
        if (heard.length === 1) await effect;
      },
      { broker: shaky },
    );
    tell("hello");
    await eventually(() => heard.length === 1, "the first delivery");
    // Messages on the same connection are processed in order, so everything before them has arrived.
    for (let i = 0; i < 10; i += 1)
      await shaky.publish("", deadLetterQueue(service), Buffer.from(""), {});
    await raw.purgeQueue(deadLetterQueue(service));
    line.cut();
    line.mend();
    await eventually(() => heard.length === 2, "the second delivery");
    expect(heard).toEqual(["hello", "hello"]);
    happen();
    await stop();
    expect(await count(service)).toBe(0);
    expect(await count(deadLetterQueue(service))).toBe(0);
  });

  it("is logged with its type and subject", async () => {
    const { log, lines } = recordedLog();
    const { tell } = await listen(() => Promise.resolve(), { log });
    tell("hello");
    const told = { msg: `received ${WORD} hello`, event: "received", type: WORD, id: "hello" };
    await eventually(() => lines.some(({ msg }) => msg === told.msg), "the log line");
    expect(lines).toContainEqual(expect.objectContaining(told));
  });

  it("is handled completely before the consumer stops", async () => {
    const { promise: effect, resolve: happen } = deferred();
    const { promise: begun, resolve: begin } = deferred();
    const { service, tell, stop } = await listen(() => (begin(), effect));
    tell("hello");
    await begun;
    let stopped = false;
    const stopping = stop().then(() => (stopped = true));
    tell("for the next one");
    await eventually(async () => (await count(service)) === 1, "a message without a consumer");
    expect(stopped).toBe(false);
    happen();
    await stopping;
    expect((await from(service)).properties.headers?.["cloudEvents:subject"]).toBe(
      "for the next one",
    );
  });
});

describe("an event that fails", () => {
  it("is retried after a second, during which it waits in the broker", async () => {
    const tries: number[] = [];
    const { service, tell } = await listen(() => {
      tries.push(performance.now());
      return tries.length === 1 ? Promise.reject(new Error("not yet")) : Promise.resolve();
    });
    tell("hello");
    await eventually(() => tries.length === 2, "the second try");
    expect((tries[1] ?? 0) - (tries[0] ?? 0)).toBeGreaterThanOrEqual(990);
    expect(await count(deadLetterQueue(service))).toBe(0);
  });

  it.each([
    [1, 10],
    [2, 60],
    [3, 600],
  ] as const)("waits longer after try %d: %d s", async (tried, seconds) => {
    const { service, tell } = await listen(() => Promise.reject(new Error("no")));
    tell(`after ${tried}`, tried);
    const message = await from(delayQueue(seconds));
    expect(message.fields.routingKey).toBe(delayKey(service, seconds));
    expect(message.properties.headers).toMatchObject({
      [TRIES]: tried + 1,
      "cloudEvents:subject": `after ${tried}`,
    });
  });

  it("becomes a dead letter after the fifth try, with the reason and its origin", async () => {
    const { service, tell } = await listen(() => Promise.reject(new Error("no such ticket")));
    tell("hopeless", 4);
    const { content, properties } = await from(deadLetterQueue(service));
    expect(properties).toMatchObject({ type: WORD, contentType: "application/protobuf" });
    expect(properties.headers).toMatchObject({
      [TRIES]: 5,
      "x-ticketing-reason": "no such ticket",
      "x-ticketing-origin": service,
      "cloudEvents:subject": "hopeless",
    });
    expect(content).toEqual(
      Buffer.from(toBinary(StringValueSchema, create(StringValueSchema, { value: "hopeless" }))),
    );
  });

  it("has a reason of limited length", async () => {
    const { service, tell } = await listen(() => Promise.reject(new Error("no ".repeat(100_000))));
    tell("wordy", 4);
    const { properties } = await from(deadLetterQueue(service));
    expect(String(properties.headers?.["x-ticketing-reason"])).toHaveLength(1_000);
  });

  it("becomes a dead letter immediately if it cannot be read", async () => {
    const heard: string[] = [];
    const { service } = await listen((word) => Promise.resolve(heard.push(word)));
    raw.sendToQueue(service, Buffer.from([0x0a, 0xff]), {
      type: WORD,
      messageId: "cut off",
      userId: service,
    });
    raw.sendToQueue(service, Buffer.from([]), {
      type: Int64ValueSchema.typeName,
      messageId: "foreign",
      userId: service,
    });
    raw.sendToQueue(service, Buffer.from("hello"));
    const dead = [
      await from(deadLetterQueue(service)),
      await from(deadLetterQueue(service)),
      await from(deadLetterQueue(service)),
    ];
    const reasons = dead.map(({ properties }) =>
      String(properties.headers?.["x-ticketing-reason"]),
    );
    expect(reasons.toSorted()).toEqual([
      'no handler for the type ""',
      'no handler for the type "google.protobuf.Int64Value"',
      "the body cannot be decoded",
    ]);
    expect(heard).toEqual([]);
    expect(await count(service)).toBe(0);
  });

  it("is retried if its owner published it: an instance of a newer version may have a handler", async () => {
    const { service } = await listen(() => Promise.resolve());
    raw.sendToQueue(service, Buffer.from([]), {
      type: Int64ValueSchema.typeName,
      userId: "teller",
      headers: { [TRIES]: 1 },
    });
    const message = await from(delayQueue(10));
    expect(message.properties.headers).toMatchObject({ [TRIES]: 2 });
    expect(await count(deadLetterQueue(service))).toBe(0);
  });

  it("does not delay other events", async () => {
    const heard = new Set<string>();
    const { service, tell } = await listen((word) => {
      if (Number(word) % 50 === 0) return Promise.reject(new Error("poison"));
      return Promise.resolve(heard.add(word));
    });
    for (let i = 0; i < 1000; i += 1) tell(`${i}`, 4);
    await eventually(() => heard.size === 980, "all other events");
    await eventually(
      async () => (await count(deadLetterQueue(service))) === 20,
      "the dead letters",
    );
    expect(await count(service)).toBe(0);
  });
});

describe("a fault of the service", () => {
  it("pauses the consumer until it is over, and does not count as a try", async () => {
    const { promise: over, resolve: end } = deferred();
    const { promise: asked, resolve: ask } = deferred();
    let broken = true;
    let attempts = 0;
    const { service, tell, stop } = await listen(
      () => {
        attempts += 1;
        return broken ? Promise.reject(new Error("no database")) : Promise.resolve();
      },
      { isFault: () => broken, recovered: () => (ask(), over) },
    );
    tell("hello", 4); // After one more try it would be a dead letter.
    await asked;
    expect(attempts).toBe(1);
    broken = false;
    end();
    await eventually(() => attempts === 2, "the second attempt");
    await stop();
    for (const queue of [service, deadLetterQueue(service)]) expect(await count(queue)).toBe(0);
  });

  it("pauses all events while it lasts; a service that stops returns them to the queue", async () => {
    const { promise: asked, resolve: ask } = deferred();
    let attempts = 0;
    const { service, tell, stop } = await listen(
      () => {
        attempts += 1;
        return Promise.reject(new Error("no database"));
      },
      { isFault: () => true, recovered: () => (ask(), new Promise(() => undefined)) },
    );
    tell("first");
    await asked;
    for (let i = 0; i < 10; i += 1) tell(`${i}`);
    await eventually(
      async () => (await raw.checkQueue(service)).messageCount === 0,
      "all messages to be delivered",
    );
    await stop();
    expect(attempts).toBe(1);
    await eventually(async () => (await count(service)) === 11, "all messages to be returned");
    for (let i = 0; i < 11; i += 1) {
      expect((await from(service)).properties.headers).not.toHaveProperty(TRIES);
    }
  });

  it("that affects only one event does not delay others, and does not count as a try", async () => {
    const heard: string[] = [];
    let broken = true;
    const { service, tell } = await listen(
      async (word) => {
        heard.push(word);
        if (word === "full" && broken) throw new Error("the disk is full");
      },
      { isFault: (error) => (error as Error).message === "the disk is full" },
    );
    tell("full", 3);
    const rounds = (): number => heard.filter((word) => word === "full").length;
    await eventually(() => rounds() > 7, "the event to be delayed and delivered again");
    tell("fine");
    await eventually(() => heard.includes("fine"), "the other event");
    broken = false;
    await eventually(async () => (await count(service)) === 0, "both events to be handled");
    expect(await count(deadLetterQueue(service))).toBe(0);
  });

  it("causes longer and longer delays while nothing succeeds", async () => {
    const { log, lines } = recordedLog();
    const { tell } = await listen(() => Promise.reject(new Error("no right")), {
      log,
      isFault: () => true,
    });
    const pauses = (): number[] =>
      lines.flatMap(({ pauseMs }) => (typeof pauseMs === "number" ? [pauseMs] : []));
    for (let i = 0; i < 40; i += 1) tell(`${i}`);
    await eventually(() => pauses().length >= 5, "five pauses");
    expect(pauses().slice(0, 5)).toEqual([100, 200, 400, 800, 1_600]);
  });

  it("includes a broker that rejects what the handler publishes", async () => {
    let asked = 0;
    let deadAfterRefusals: number | undefined;
    const { service, tell } = await listen(async () => {
      asked += 1;
      if (asked === 3) deadAfterRefusals = await count(deadLetterQueue(service));
      const key = asked < 3 ? newId() : service;
      await broker.publish("", key, Buffer.from(""), {
        mandatory: true,
        headers: { told: true },
      });
    });
    tell("hello");
    await eventually(
      async () => (await count(deadLetterQueue(service))) === 1,
      "its own event to become a dead letter",
    );
    expect([asked, deadAfterRefusals]).toEqual([3, 0]);
  });

  it("includes a broker whose connection is lost while an event is handled", async () => {
    const line = await testProxy(Number(new URL(url).port));
    const through = new URL(url);
    through.port = String(line.port);
    const shaky = await testBroker("listener", subscriptions, { url: through.href });
    let attempts = 0;
    const { service, tell } = await listen(
      async (word) => {
        attempts += 1;
        if (attempts === 1) line.cut();
        await shaky.publish("", word, Buffer.from("on"), { mandatory: true });
      },
      { broker: shaky },
    );
    const next = names.pop() as string;
    tell(next, 4); // After one more try it would be a dead letter.
    await eventually(() => attempts === 1, "the first attempt");
    line.mend();
    expect((await from(next)).content.toString()).toBe("on");
    await eventually(async () => (await count(service)) === 0, "the acknowledgement");
    expect(await count(deadLetterQueue(service))).toBe(0);
  });
});

it("an event under contention is retried with longer delays, and never becomes a dead letter because of it", async () => {
  const times: number[] = [];
  let crowded = true;
  const { service, tell } = await listen(async () => {
    times.push(performance.now());
    if (crowded) throw new CallError("CHANGED_MEANWHILE", "others keep changing this");
  });
  tell("hello", 4); // After one more try of its own it would be a dead letter.
  await eventually(() => times.length > 7, "more retries");
  const pauses = times.slice(1, 6).map((time, i) => time - (times[i] as number));
  for (const [i, pause] of pauses.entries()) expect(pause).toBeGreaterThan(49 * 2 ** i);
  crowded = false;
  await eventually(async () => (await count(service)) === 0, "the event to be handled");
  expect(await count(deadLetterQueue(service))).toBe(0);
});

it("one consumer handles 20,000 events without a growing heap", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const inUse = (): number => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return (heapUsed + external) / 2 ** 20;
  };
  const service = names.at(-1) as string;
  const event = { id: newId(), type: WORD, source: "teller", subject: "flood", time: new Date() };
  const content = Buffer.from(
    toBinary(StringValueSchema, create(StringValueSchema, { value: "x".repeat(250) })),
  );
  for (let i = 0; i < 20_000; i += 1) {
    const put = broker.publish("", service, content, { ...toProperties(event), mandatory: true });
    if (i % 500 === 499) await put;
  }
  const seen: number[] = [];
  let heard = 0;
  await listen(() => {
    heard += 1;
    if (heard % 5_000 === 0) seen.push(inUse());
    return Promise.resolve();
  });
  await eventually(() => heard >= 20_000, "all events to be handled", 100_000);
  const [first = 0] = seen;
  console.log(`20,000 events: ${seen.map((mb) => mb.toFixed(1)).join(", ")} MB in use`);
  expect(Math.max(...seen) - first).toBeLessThan(10);
});

it("publishes no message that the broker cannot route", async () => {
  const lost = broker.publish(EVENTS_EXCHANGE, "nobody.Hears", Buffer.from(""), {
    messageId: newId(),
    mandatory: true,
  });
  await expect(lost).rejects.toThrow("no queue for nobody.Hears");
});
