import type { DescMessage } from "@bufbuild/protobuf";
import type { Channel } from "amqplib";

/** Which events each service hears: its queue's name, which is its own, and their types. */
export type Subscriptions = Readonly<Record<string, readonly DescMessage[]>>;

/** The exchange of all events; the routing key is the event's full Protobuf name. */
export const EVENTS = "ticketing.events";

/**
 * How long messages can wait with the broker, in seconds, one queue each. The shortest is how late a
 * message may come out; each one more is a queue to keep.
 */
export const WAITS = [0.2, 1, 10, 60, 600, 900] as const;
export type Wait = (typeof WAITS)[number];

/** The exchange that leads into one waiting queue; the routing key says to which queue it comes out. */
export const waitExchange = (seconds: Wait): string => `ticketing.wait.${seconds}s`;

/** The exchange that waits by itself, where the broker has the plugin for it, and the queue behind it. */
export const DELAYED = "ticketing.delayed";

/** Where a service's messages end that it could not handle. */
export const deadQueue = (service: string): string => `${service}.dead`;

/** Far above what tries need: the broker's own count includes crashes, ours does not. */
const BACKSTOP = 100;
/** By default the broker throws a dead letter away once it has been looked at twenty times. */
const NEVER = 1_000_000_000;

async function declareService(
  channel: Channel,
  service: string,
  types: readonly DescMessage[],
): Promise<void> {
  const dead = { "x-queue-type": "quorum", "x-delivery-limit": NEVER };
  await channel.assertQueue(deadQueue(service), { arguments: dead });
  await channel.assertQueue(service, {
    arguments: {
      "x-queue-type": "quorum",
      "x-delivery-limit": BACKSTOP,
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": deadQueue(service),
      "x-dead-letter-strategy": "at-least-once",
      "x-overflow": "reject-publish",
    },
  });
  await Promise.all(types.map(({ typeName }) => channel.bindQueue(service, EVENTS, typeName)));
}

/**
 * One time to live for a whole queue, and in its name: a message's own would wait behind a longer
 * one in front of it, and a queue's arguments can never change. Dead-lettering at least once, into
 * quorum queues, lost nothing in any kill that was tried.
 */
async function declareWait(channel: Channel, seconds: Wait): Promise<void> {
  const name = waitExchange(seconds);
  await channel.assertExchange(name, "fanout");
  await channel.assertQueue(name, {
    arguments: {
      "x-queue-type": "quorum",
      "x-message-ttl": seconds * 1000,
      "x-dead-letter-exchange": "",
      "x-dead-letter-strategy": "at-least-once",
      "x-overflow": "reject-publish",
    },
  });
  await channel.bindQueue(name, name, "");
}

/**
 * Declares everything that the broker holds. Every service declares all of it before it publishes,
 * so that no event is lost to a service that has never been started.
 */
export async function declareTopology(channel: Channel, services: Subscriptions): Promise<void> {
  await channel.assertExchange(EVENTS, "topic");
  await Promise.all(
    Object.entries(services).map(([service, types]) => declareService(channel, service, types)),
  );
  await Promise.all(WAITS.map((seconds) => declareWait(channel, seconds)));
}

/**
 * Declares the delayed exchange, which only a broker with the plugin has a type for; any other closes
 * the channel or the connection, so neither may be anybody else's. The queue behind it is a classic
 * one: when it starts, the plugin sends what fell due meanwhile without waiting for the leaders of
 * quorum queues, and with one of those behind it lost every such message that we tried.
 */
export async function declareDelayed(channel: Channel): Promise<void> {
  const args = { "x-delayed-type": "fanout" };
  await channel.assertExchange(DELAYED, "x-delayed-message", { arguments: args });
  await channel.assertQueue(DELAYED, { arguments: { "x-queue-type": "classic" } });
  await channel.bindQueue(DELAYED, DELAYED, "");
}

/** Whether anybody hears events of this type; if so, one that the broker cannot route is an alarm. */
export const isHeard = (services: Subscriptions, type: string): boolean =>
  Object.values(services).some((types) => types.some(({ typeName }) => typeName === type));
