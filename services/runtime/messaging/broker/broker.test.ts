import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it, onTestFinished } from "vitest";
import { connectBroker } from "./broker.ts";
import { toProperties } from "../topology/envelope.ts";
import { consume, on } from "../consumer.ts";
import { newId } from "../../store/ids.ts";
import { eventually } from "../../testing/eventually.ts";
import { recordedLog, silentLog } from "../../testing/log.ts";
import { testBroker, testVhost } from "../../testing/broker.ts";
import { deadLetterQueue } from "../topology/topology.ts";

const WORD = StringValueSchema.typeName;
const SERVICE = "one";
const subscriptions = { [SERVICE]: [] };

/** `basic.publish` in a frame. A connection that sends it counts as a publisher. */
const PUBLISH = Buffer.from([0, 60, 0, 40]);

/** A method of class `connection` on channel 0, as the broker sends it. */
function frame(method: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(11);
  head.writeUInt8(1, 0);
  head.writeUInt32BE(4 + payload.length, 3);
  head.writeUInt16BE(10, 7);
  head.writeUInt16BE(method, 9);
  return Buffer.concat([head, payload, Buffer.from([0xce])]);
}
const BLOCKED = frame(60, Buffer.from("\u000alow memory", "latin1"));
const UNBLOCKED = frame(61, Buffer.alloc(0));

/**
 * A proxy to the real broker that simulates a memory alarm on demand. As RabbitMQ does, it notifies the
 * connections that have published, and reads nothing more from them.
 */
async function forgetful(url: string) {
  const target = new URL(url);
  const { hostname, port } = target;
  const publishers = new Map<Socket, Socket>();
  const server = createServer((from) => {
    const to = connect(Number(port), hostname);
    for (const socket of [from, to]) {
      socket.on("error", () => undefined);
      socket.once("close", () => {
        publishers.delete(from);
        for (const each of [from, to]) each.destroy();
      });
    }
    from.on("data", (bytes: Buffer) => {
      if (bytes.includes(PUBLISH)) publishers.set(from, to);
      to.write(bytes);
    });
    to.on("data", (bytes: Buffer) => from.write(bytes));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  target.port = String((server.address() as AddressInfo).port);
  return {
    url: target.href,
    fill() {
      for (const from of publishers.keys()) from.pause().write(BLOCKED);
    },
    drain() {
      for (const from of publishers.keys()) from.resume().write(UNBLOCKED);
    },
  };
}

async function listening(handle: (word: string, publish: () => Promise<void>) => Promise<unknown>) {
  const url = await testVhost();
  const bare = await testBroker("teller", subscriptions, { url });
  const { url: through, fill, drain } = await forgetful(url);
  const { log, lines } = recordedLog();
  const broker = await connectBroker({
    ...{ url: through, name: SERVICE, subscriptions, snapshots: [], log },
  });
  onTestFinished(() => broker.close());
  await bare.raw.assertQueue("out", { durable: true });
  const publish = () => broker.publish("", "out", Buffer.from("word"), { mandatory: true });
  await publish(); // Then the connection counts as a publisher.
  const stop = await consume({
    ...{ service: SERVICE, broker, publishers: () => ["teller"], log: silentLog },
    handlers: [on(StringValueSchema, ({ value }) => handle(value, publish))],
    isFault: () => false,
    recovered: () => Promise.resolve(),
  });
  onTestFinished(stop);
  return {
    broker,
    fill,
    drain,
    lines,
    async tell(word: string) {
      const event = { id: newId(), type: WORD, source: "teller", subject: word, time: new Date() };
      const body = toBinary(StringValueSchema, create(StringValueSchema, { value: word }));
      await bare.publish("", SERVICE, Buffer.from(body), toProperties(event));
    },
    /** The number of messages, ready or unacknowledged. */
    async left(queue = SERVICE): Promise<number> {
      return (await bare.raw.checkQueue(queue)).messageCount;
    },
    stop,
  };
}

describe("a broker with a memory alarm", () => {
  it("is reported by `connected`, and still receives acknowledgements", async () => {
    const heard: string[] = [];
    const { broker, fill, drain, tell, left, stop } = await listening((word) =>
      Promise.resolve(heard.push(word)),
    );
    fill();
    await eventually(() => !broker.connected, "the alarm to be reported");
    await expect(broker.publish("", "out", Buffer.from("no"), {})).rejects.toThrow("no broker");
    for (let i = 0; i < 100; i += 1) await tell(`${i}`);
    await eventually(
      () => heard.length === 100,
      "all events to be handled, which exceed the prefetch count",
    );
    await stop();
    expect(await left()).toBe(0);
    drain();
    await eventually(() => broker.connected, "the end of the alarm to be reported");
  });

  it("costs no try: an event whose handler publishes waits, and is handled after the alarm", async () => {
    const tries: string[] = [];
    const { broker, fill, drain, tell, left, stop } = await listening(async (word, publish) => {
      tries.push(word);
      await publish();
    });
    fill();
    await eventually(() => !broker.connected, "the alarm to be reported");
    await tell("hello");
    await eventually(() => tries.length > 0, "the first try");
    drain();
    await eventually(async () => (await left("out")) === 2, "the event to be handled");
    await stop();
    expect(tries.length).toBeLessThan(4); // If it were requeued, it would be delivered again immediately and repeatedly.
    expect([await left(), await left(deadLetterQueue(SERVICE))]).toEqual([0, 0]);
  });

  it("pauses only handlers that publish, and receives the acknowledgements of the others", async () => {
    const heard: string[] = [];
    let tries = 0;
    const { broker, fill, drain, tell, left, stop } = await listening(async (word, publish) => {
      if (word !== "publishes") return heard.push(word);
      tries += 1;
      await publish();
      return heard.push(word);
    });
    fill();
    await eventually(() => !broker.connected, "the alarm to be reported");
    await tell("publishes");
    await eventually(() => tries > 0, "the first try");
    for (let i = 0; i < 100; i += 1) await tell(`${i}`);
    await eventually(
      () => heard.length === 100,
      "all other events to be handled, which exceed the prefetch count",
    );
    expect([heard.includes("publishes"), tries, broker.connected]).toEqual([false, 1, false]);
    drain();
    await eventually(() => heard.length === 101, "the waiting event to be handled");
    await stop();
    expect([await left(), await left("out"), await left(deadLetterQueue(SERVICE))]).toEqual([
      0, 2, 0,
    ]);
  });

  it("gets the waiting events back when the service stops", async () => {
    let tries = 0;
    const { broker, fill, tell, left, stop } = await listening(async (_, publish) => {
      tries += 1;
      await publish();
    });
    fill();
    await eventually(() => !broker.connected, "the alarm to be reported");
    await tell("publishes");
    await eventually(() => tries > 0, "the first try");
    await stop();
    await eventually(async () => (await left()) === 1, "the event to be requeued");
    expect([tries, await left(deadLetterQueue(SERVICE))]).toEqual([1, 0]);
  });

  it("is reported once per change, although there are two connections", async () => {
    const { broker, lines, drain, fill } = await listening(() => Promise.resolve());
    const told: boolean[] = [];
    broker.onConnect(() => told.push(broker.connected));
    fill();
    await eventually(() => !broker.connected, "the alarm to be reported");
    drain();
    await eventually(() => told.length > 0, "the change to be reported");
    expect(told).toEqual([true]);
    expect(lines.filter(({ msg }) => msg === "broker connected")).toHaveLength(1);
  });
});
