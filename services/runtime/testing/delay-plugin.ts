import { once } from "node:events";
import { connect as connectSocket, createServer, type AddressInfo, type Socket } from "node:net";
import { connect } from "amqplib";
import { onTestFinished } from "vitest";
import { DELAYED_EXCHANGE, DELAYED_QUEUE } from "../messaging/topology/topology.ts";

// The plugin is not available everywhere these tests run. This proxy in front of the real broker simulates
// it.

const TYPE = "x-delayed-message";
/** An exchange type of the real broker. */
const OTHER_TYPE = "topic";

export interface FakeDelayPlugin {
  /** The address of the broker with the plugin. */
  readonly url: string;
  /** The `x-delay` values of the clients, in order. */
  readonly delays: unknown[];
  /** How often a client declared the delayed exchange. */
  readonly declared: number;
  /**
   * Whether the broker has the plugin after its next start. Without it, the real broker rejects the
   * exchange, or the proxy closes the connection, as RabbitMQ 3 did.
   */
  install(installed: boolean | "RabbitMQ 3 without it"): void;
  /** Closes all connections through the proxy. It accepts new ones. */
  restart(): Promise<void>;
  /** Closes only the connections that use the plugin. */
  cutUsers(): void;
  /** Stops waiting and drops the messages that it has, as when the plugin's node is lost. */
  forget(): void;
}

/**
 * Forwards everything to the real broker, except the type in `exchange.declare`. The messages to that
 * exchange wait in the proxy, which publishes them to the queue behind it after their delay.
 */
export async function fakeDelayPlugin(brokerUrl: string): Promise<FakeDelayPlugin> {
  const sockets = new Set<Socket>();
  const users = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  const delays: unknown[] = [];
  let installed: boolean | "RabbitMQ 3 without it" = true;
  let declared = 0;

  const target = new URL(brokerUrl);
  const server = createServer((from) => {
    const to = connectSocket(Number(target.port), target.hostname);
    for (const socket of [from, to]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => {
        for (const each of [from, to]) each.destroy();
        sockets.delete(socket);
        users.delete(socket);
      });
    }
    const rewritten = frames((frame) => {
      if (!declaresDelayed(frame)) return frame;
      declared += 1;
      if (!installed) return frame;
      if (installed !== true) {
        to.unpipe(from);
        from.end(CLOSE_503);
        return Buffer.alloc(0);
      }
      users.add(from);
      return withOtherType(frame);
    });
    from.on("data", (chunk: Buffer) => to.write(rewritten(chunk)));
    to.pipe(from);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");

  const behind = await connect(brokerUrl);
  behind.on("error", () => undefined);
  const channel = await behind.createChannel();
  await channel.assertExchange(DELAYED_EXCHANGE, OTHER_TYPE);
  await channel.assertQueue(DELAYED_QUEUE, { arguments: { "x-queue-type": "classic" } });
  await channel.assertExchange("standin.due", "fanout");
  await channel.bindQueue(DELAYED_QUEUE, "standin.due", "");
  const { queue } = await channel.assertQueue("", { exclusive: true });
  await channel.bindQueue(queue, DELAYED_EXCHANGE, "#");
  await channel.consume(queue, (message) => {
    if (!message) return;
    const { headers, ...properties } = message.properties;
    const delay = headers?.["x-delay"] as unknown;
    delays.push(delay);
    if (typeof delay !== "number" || !(delay > 0 && delay < 2 ** 32)) return;
    const timer = setTimeout(
      () => {
        timers.delete(timer);
        const after = { ...properties, headers: { ...headers, "x-delay": -delay } };
        channel.publish("standin.due", message.fields.routingKey, message.content, after);
        channel.ack(message);
      },
      Math.min(delay, 2 ** 31 - 1),
    );
    timers.add(timer);
  });

  const forget = (): void => {
    for (const timer of timers) clearTimeout(timer);
    timers.clear();
  };
  const cut = (some: Set<Socket>): void => {
    for (const socket of some) socket.destroy();
  };
  onTestFinished(async () => {
    forget();
    cut(sockets);
    server.close();
    await behind.close();
  });

  const url = new URL(brokerUrl);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    delays,
    get declared() {
      return declared;
    },
    install(value) {
      installed = value;
    },
    async restart() {
      const all = [...sockets];
      cut(sockets);
      await Promise.all(all.map((socket) => socket.closed || once(socket, "close")));
    },
    cutUsers: () => cut(users),
    forget,
  };
}

/** `connection.close` with a code and a text, caused by `exchange.declare`. */
const CLOSE_503 = ((text: string) => {
  const frame = Buffer.alloc(19 + text.length);
  frame.writeUInt8(1, 0);
  frame.writeUInt32BE(frame.length - 8, 3);
  frame.writeUInt16BE(10, 7);
  frame.writeUInt16BE(50, 9);
  frame.writeUInt16BE(503, 11);
  frame.writeUInt8(text.length, 13);
  frame.write(text, 14);
  frame.writeUInt16BE(40, 14 + text.length);
  frame.writeUInt16BE(10, 16 + text.length);
  frame.writeUInt8(0xce, 18 + text.length);
  return frame;
})(`COMMAND_INVALID - unknown exchange type '${TYPE}'`);

const HEADER = 8; // "AMQP" and the version, sent once
const AROUND = 8; // type, channel, size; and the end of the frame

/** Splits an AMQP 0-9-1 stream into frames, and returns what `change` makes of them. */
function frames(change: (frame: Buffer) => Buffer): (chunk: Buffer) => Buffer {
  let rest = Buffer.alloc(0);
  let begun = false;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    const out: Buffer[] = [];
    const take = (length: number): Buffer => {
      const taken = rest.subarray(0, length);
      rest = rest.subarray(length);
      return taken;
    };
    if (!begun && rest.length >= HEADER) {
      begun = true;
      out.push(take(HEADER));
    }
    while (begun && rest.length >= AROUND && rest.length >= rest.readUInt32BE(3) + AROUND) {
      out.push(change(take(rest.readUInt32BE(3) + AROUND)));
    }
    return Buffer.concat(out);
  };
}

/** The position of the type in `exchange.declare`, after class, method, two reserved bytes and the name. */
const typeAt = (frame: Buffer): number => 13 + 1 + frame.readUInt8(13);

function declaresDelayed(frame: Buffer): boolean {
  if (frame.readUInt8(0) !== 1 || frame.readUInt16BE(7) !== 40 || frame.readUInt16BE(9) !== 10) {
    return false;
  }
  const at = typeAt(frame);
  return frame.toString("latin1", at + 1, at + 1 + frame.readUInt8(at)) === TYPE;
}

function withOtherType(frame: Buffer): Buffer {
  const at = typeAt(frame);
  const changed = Buffer.concat([
    frame.subarray(0, at),
    Buffer.from([OTHER_TYPE.length]),
    Buffer.from(OTHER_TYPE),
    frame.subarray(at + 1 + TYPE.length),
  ]);
  changed.writeUInt32BE(changed.length - AROUND, 3);
  return changed;
}
