import { connect, type ConfirmChannel, type GetMessage, type Options } from "amqplib";
import { snapshots, subscriptions } from "#marketplace/catalogue.ts";
import {
  deadLetterQueue,
  immediateKey,
  QUEUES_EXCHANGE,
  type Subscriptions,
} from "#runtime/messaging/topology.ts";
import { until } from "#stack/process";
import type { SeededRandom } from "../testing/seeded-random.ts";

/** By this what was sent here is found again, to be taken away: of many headers a service keeps some. */
const MARK = "raw-requests";

/** Whoever asked for a snapshot asks again, so that a request that fails is kept by nobody. */
const kept = ({ type }: Options.Publish): boolean =>
  !snapshots.some(({ request }) => request.typeName === type);

const noString = { toString: "x", valueOf: "x" };
const odd = [
  ...["", "\u00ff", "x".repeat(30_000), "null", "__proto__", -1, 0.5, 2 ** 53, true, null],
  ...[noString, [[[]]], { "!": "timestamp", value: 1e15 }, { a: { b: { c: noString } } }],
];
const headers = [
  ...["cloudEvents:type", "cloudEvents:source", "cloudEvents:subject", "cloudEvents:time"],
  ...["cloudEvents:id", "cloudEvents:specversion", "cloudEvents:traceparent", "traceparent"],
  ...["x-ticketing-tries", "x-ticketing-publisher", "x-delay", "x-death", "constructor"],
];

function oddProperties(chance: SeededRandom, service: string): Options.Publish {
  const types = ((subscriptions as Subscriptions)[service] ?? []).map(({ typeName }) => typeName);
  return {
    headers: Object.fromEntries([
      ...chance.someOf(headers, 4).map((name) => [name, chance.pick(odd)] as const),
    ]) as Options.Publish["headers"],
    type: chance.pick([...types, ...types, "", "ticketing.none.v1.None", "__proto__"]),
    messageId: chance.pick(["", "x", "\u00ff", "0".repeat(200)]),
    contentType: chance.pick(["", "application/protobuf", "\u00ff"]),
    contentEncoding: chance.pick(["", "gzip", "\u00ff"]),
  };
}

/** Field 1 of 255 bytes, which are not there: no message at all, or what follows would be one. */
const unreadable = (chance: SeededRandom): Buffer =>
  Buffer.concat([Buffer.of(0x0a, 0xff, 0x01), Buffer.from(MARK), chance.bytes(chance.below(20))]);

/** Waits for what was sent to be among the dead, and takes that away, and nothing else. */
async function removeDeadLetters(
  channel: ConfirmChannel,
  service: string,
  count: number,
): Promise<void> {
  let buried = 0;
  const all = async (): Promise<boolean> => {
    const others: GetMessage[] = [];
    for (;;) {
      const message = await channel.get(deadLetterQueue(service));
      if (!message) break;
      if (!message.content.includes(MARK)) others.push(message);
      else {
        channel.ack(message);
        buried += 1;
      }
    }
    for (const message of others) channel.nack(message);
    return buried >= count;
  };
  const what = `${count} dead letters of ${service}`;
  await until(all, { what, timeoutMs: 60_000, everyMs: 200 });
}

/**
 * Sends messages that nobody can read to a service's queue: from the administrator, who may not, and
 * from the service itself, whose word is looked into. They end among the dead letters, from which they are taken away.
 */
export async function sendMalformedMessages(
  chance: SeededRandom,
  service: string,
  urls: { admin: string; own: string },
  count: number,
): Promise<void> {
  const [admin, own] = await Promise.all([connect(urls.admin), connect(urls.own)]);
  try {
    const [fromAdmin, fromOwn] = await Promise.all([
      admin.createConfirmChannel(),
      own.createConfirmChannel(),
    ]);
    let dead = 0;
    for (let i = 0; i < count; i += 1) {
      const properties = oddProperties(chance, service);
      const body = unreadable(chance);
      if (kept(properties)) dead += 1;
      if (chance.oneIn(3)) fromAdmin.sendToQueue(service, body, properties);
      else
        fromOwn.publish(QUEUES_EXCHANGE, immediateKey(service), body, {
          ...properties,
          userId: service,
        });
    }
    await Promise.all([fromAdmin.waitForConfirms(), fromOwn.waitForConfirms()]);
    await removeDeadLetters(fromAdmin, service, dead);
  } finally {
    await Promise.all([admin.close(), own.close()]);
  }
}
