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

/** `basic.publish` in a frame: who sends it, publishes. */
const PUBLISH = Buffer.from([0, 60, 0, 40]);

/** A method of `connection` without a channel, as the broker sends it. */
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
 * Leads to the real broker, which seems to run out of memory when it is told to: as RabbitMQ does, it
 * tells the connections that have published, and reads nothing more of what those send.
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
  await publish(); // So that it counts as one who publishes.
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
    /** Ready, or in the hands of a consumer. */
    async left(queue = SERVICE): Promise<number> {
      return (await bare.raw.checkQueue(queue)).messageCount;
    },
    stop,
  };
}

describe("a broker that takes no messages, being short of memory", () => {
  it("is told by `connected`, and hears that what came in is done", async () => {
    const heard: string[] = [];
    const { broker, fill, drain, tell, left, stop } = await listening((word) =>
      Promise.resolve(heard.push(word)),
    );
    fill();
    await eventually(() => !broker.connected, "it to be told");
    await expect(broker.publish("", "out", Buffer.from("no"), {})).rejects.toThrow("no broker");
    for (let i = 0; i < 100; i += 1) await tell(`${i}`);
    await eventually(() => heard.length === 100, "all to be heard, more than fit into one hand");
    await stop();
    expect(await left()).toBe(0);
    drain();
    await eventually(() => broker.connected, "it to be told");
  });

  it("costs no event that needs it a try: it waits in hand, and is done once there is room", async () => {
    const tries: string[] = [];
    const { broker, fill, drain, tell, left, stop } = await listening(async (word, publish) => {
      tries.push(word);
      await publish();
    });
    fill();
    await eventually(() => !broker.connected, "it to be told");
    await tell("hello");
    await eventually(() => tries.length > 0, "the first try");
    drain();
    await eventually(async () => (await left("out")) === 2, "it to be done");
    await stop();
    expect(tries.length).toBeLessThan(4); // Given back, it would have been here again at once, and again.
    expect([await left(), await left(deadLetterQueue(SERVICE))]).toEqual([0, 0]);
  });

  it("holds up those alone that publish, and hears that the others are done", async () => {
    const heard: string[] = [];
    let tries = 0;
    const { broker, fill, drain, tell, left, stop } = await listening(async (word, publish) => {
      if (word !== "publishes") return heard.push(word);
      tries += 1;
      await publish();
      return heard.push(word);
    });
    fill();
    await eventually(() => !broker.connected, "it to be told");
    await tell("publishes");
    await eventually(() => tries > 0, "its first try");
    for (let i = 0; i < 100; i += 1) await tell(`${i}`);
    await eventually(() => heard.length === 100, "all others, more than fit into one hand");
    expect([heard.includes("publishes"), tries, broker.connected]).toEqual([false, 1, false]);
    drain();
    await eventually(() => heard.length === 101, "it to be done");
    await stop();
    expect([await left(), await left("out"), await left(deadLetterQueue(SERVICE))]).toEqual([
      0, 2, 0,
    ]);
  });

  it("gives back what waits for it where the service stops", async () => {
    let tries = 0;
    const { broker, fill, tell, left, stop } = await listening(async (_, publish) => {
      tries += 1;
      await publish();
    });
    fill();
    await eventually(() => !broker.connected, "it to be told");
    await tell("publishes");
    await eventually(() => tries > 0, "its first try");
    await stop();
    await eventually(async () => (await left()) === 1, "it to be given back");
    expect([tries, await left(deadLetterQueue(SERVICE))]).toEqual([1, 0]);
  });

  it("is told and seen as one: what comes and goes is told once, though it is two connections", async () => {
    const { broker, lines, drain, fill } = await listening(() => Promise.resolve());
    const told: boolean[] = [];
    broker.onConnect(() => told.push(broker.connected));
    fill();
    await eventually(() => !broker.connected, "it to be told");
    drain();
    await eventually(() => told.length > 0, "it to be told");
    expect(told).toEqual([true]);
    expect(lines.filter(({ msg }) => msg === "broker connected")).toHaveLength(1);
  });
});
