import { connect, type ConfirmChannel, type GetMessage, type Options } from "amqplib";
import { snapshots, subscriptions } from "#marketplace/catalogue.ts";
import {
  deadLetterQueue,
  immediateKey,
  QUEUES_EXCHANGE,
  type Subscriptions,
} from "#runtime/messaging/topology/topology.ts";
import { until } from "#stack/process";
import type { SeededRandom } from "../testing/seeded-random.ts";

/** Marks the bodies that are sent here, so that their dead letters can be removed. */
const MARK = "raw-requests";

/** Whether a failed message is dead-lettered; requests for snapshots are repeated by their sender. */
const isDeadLettered = ({ type }: Options.Publish): boolean =>
  !snapshots.some(({ request }) => request.typeName === type);

const noString = { toString: "x", valueOf: "x" };
const oddValues = [
  ...["", "\u00ff", "x".repeat(30_000), "null", "__proto__", -1, 0.5, 2 ** 53, true, null],
  ...[noString, [[[]]], { "!": "timestamp", value: 1e15 }, { a: { b: { c: noString } } }],
];
const headers = [
  ...["cloudEvents:type", "cloudEvents:source", "cloudEvents:subject", "cloudEvents:time"],
  ...["cloudEvents:id", "cloudEvents:specversion", "cloudEvents:traceparent", "traceparent"],
  ...["x-ticketing-tries", "x-ticketing-publisher", "x-delay", "x-death", "constructor"],
];

function malformedProperties(random: SeededRandom, service: string): Options.Publish {
  const types = ((subscriptions as Subscriptions)[service] ?? []).map(({ typeName }) => typeName);
  return {
    headers: Object.fromEntries([
      ...random.someOf(headers, 4).map((name) => [name, random.pick(oddValues)] as const),
    ]) as Options.Publish["headers"],
    type: random.pick([...types, ...types, "", "ticketing.none.v1.None", "__proto__"]),
    messageId: random.pick(["", "x", "\u00ff", "0".repeat(200)]),
    contentType: random.pick(["", "application/protobuf", "\u00ff"]),
    contentEncoding: random.pick(["", "gzip", "\u00ff"]),
  };
}

/** Announces a field of 255 bytes that are missing, so no message can be decoded. */
const unreadable = (random: SeededRandom): Buffer =>
  Buffer.concat([Buffer.of(0x0a, 0xff, 0x01), Buffer.from(MARK), random.bytes(random.below(20))]);

/** Waits until this many marked messages are dead letters, and removes only those. */
async function removeDeadLetters(
  channel: ConfirmChannel,
  service: string,
  count: number,
): Promise<void> {
  let removed = 0;
  const all = async (): Promise<boolean> => {
    const others: GetMessage[] = [];
    for (;;) {
      const message = await channel.get(deadLetterQueue(service));
      if (!message) break;
      if (!message.content.includes(MARK)) others.push(message);
      else {
        channel.ack(message);
        removed += 1;
      }
    }
    for (const message of others) channel.nack(message);
    return removed >= count;
  };
  const what = `${count} dead letters of ${service}`;
  await until(all, { what, timeoutMs: 60_000, everyMs: 200 });
}

/**
 * Sends undecodable messages to the queue of a service: from the administrator, who is not an accepted
 * publisher, and from the service itself. Each becomes a dead letter, and is removed.
 */
export async function sendMalformedMessages(
  random: SeededRandom,
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
    let deadLetters = 0;
    for (let i = 0; i < count; i += 1) {
      const properties = malformedProperties(random, service);
      const body = unreadable(random);
      if (isDeadLettered(properties)) deadLetters += 1;
      if (random.oneIn(3)) fromAdmin.sendToQueue(service, body, properties);
      else
        fromOwn.publish(QUEUES_EXCHANGE, immediateKey(service), body, {
          ...properties,
          userId: service,
        });
    }
    await Promise.all([fromAdmin.waitForConfirms(), fromOwn.waitForConfirms()]);
    await removeDeadLetters(fromAdmin, service, deadLetters);
  } finally {
    await Promise.all([admin.close(), own.close()]);
  }
}
