import { createHash } from "node:crypto";
import type { DescMessage } from "@bufbuild/protobuf";
import type { Channel } from "amqplib";

/**
 * The events that each service subscribes to: the name of its queue, which is the service's name, and the
 * types.
 */
export type Subscriptions = Readonly<Record<string, readonly DescMessage[]>>;

/**
 * The services that may request snapshots from the owner of the data. The request belongs to the owner's
 * package.
 */
export interface SnapshotRoute {
  readonly request: DescMessage;
  readonly snapshot: DescMessage;
  readonly requestedBy: readonly string[];
}

/** The routes of all messages. The broker's exchanges and queues are derived from them. */
export interface Routing {
  readonly subscriptions: Subscriptions;
  readonly snapshots?: readonly SnapshotRoute[];
}

/** Exchanges, queues and bindings, in the format of RabbitMQ's definitions. */
export interface Topology {
  exchanges: { name: string; type: string; arguments: Record<string, unknown> }[];
  queues: { name: string; arguments: Record<string, unknown> }[];
  bindings: { source: string; destination: string; routing_key: string }[];
}

/** The exchange for all events. The routing key is the event's full Protobuf name. */
export const EVENTS_EXCHANGE = "ticketing.events";

/**
 * The exchange for a service's own queues. It replaces the default exchange, which routes to every queue and
 * has no permissions per routing key: here a service may use only the keys that start with its name.
 */
export const QUEUES_EXCHANGE = "ticketing.queues";
/**
 * The exchange to which expired messages of the delay queues are dead-lettered. Only the broker publishes to
 * it.
 */
const EXPIRED_DELAYS_EXCHANGE = "ticketing.waited";

/** The key in `QUEUES_EXCHANGE` that routes to a service's queue. */
export const immediateKey = (service: string): string => `${service}.now`;

/** The key of one snapshot page in `EVENTS_EXCHANGE`. It routes to the requester only. */
export const snapshotKey = (snapshot: DescMessage, requestedBy: string): string =>
  `${snapshot.typeName}.${requestedBy}`;

/**
 * The delays of the delay queues, in seconds. The shortest one is the maximum lateness of a message. Each
 * further tier costs one more queue.
 */
export const DELAY_TIERS = [0.2, 1, 10, 60, 600, 900] as const;
export type DelayTier = (typeof DELAY_TIERS)[number];

export const delayQueue = (seconds: DelayTier): string => `ticketing.waiting.${seconds}s`;

/** The key in `QUEUES_EXCHANGE` that routes to a delay queue and from there to the service's queue. */
export const delayKey = (service: string, seconds: DelayTier): string =>
  `${service}.wait.${seconds}s`;

/** The delayed exchange of the broker's plugin, if the broker has it, and the queue behind it. */
export const DELAYED_EXCHANGE = "ticketing.delayed";
export const DELAYED_QUEUE = "ticketing.delayed.due";

/** The queue for the service's dead letters. Its name is also its key in `QUEUES_EXCHANGE`. */
export const deadLetterQueue = (service: string): string => `${service}.dead`;

/** Far above the number of tries: the broker also counts deliveries that end in a crash. */
const DELIVERY_LIMIT = 100;
/** By default the broker drops a dead letter after it has been returned twenty times. */
const NEVER = 1_000_000_000;

/** At-least-once dead-lettering into quorum queues. It lost no message in the tests that kill the broker. */
const SAFELY = {
  "x-queue-type": "quorum",
  "x-dead-letter-strategy": "at-least-once",
  "x-overflow": "reject-publish",
};

const bind = (source: string, destination: string, key: string) => ({
  ...{ source, destination },
  routing_key: key,
});

function ofService(service: string, heard: readonly string[]): Omit<Topology, "exchanges"> {
  const dead = deadLetterQueue(service);
  const deadLettering = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead };
  return {
    queues: [
      { name: dead, arguments: { "x-queue-type": "quorum", "x-delivery-limit": NEVER } },
      {
        name: service,
        arguments: { ...SAFELY, ...deadLettering, "x-delivery-limit": DELIVERY_LIMIT },
      },
    ],
    bindings: [
      ...heard.map((key) => bind(EVENTS_EXCHANGE, service, key)),
      bind(QUEUES_EXCHANGE, service, immediateKey(service)),
      bind(QUEUES_EXCHANGE, dead, dead),
      bind(EXPIRED_DELAYS_EXCHANGE, service, `${service}.wait.#`),
    ],
  };
}

/**
 * The TTL applies to the whole queue and is part of its name. With a TTL per message, a short delay would
 * wait behind a longer one at the head of the queue. The arguments of a queue cannot be changed later.
 */
const ofWait = (seconds: DelayTier): Omit<Topology, "exchanges"> => ({
  queues: [
    {
      name: delayQueue(seconds),
      arguments: {
        ...SAFELY,
        "x-message-ttl": seconds * 1000,
        "x-dead-letter-exchange": EXPIRED_DELAYS_EXCHANGE,
      },
    },
  ],
  bindings: [bind(QUEUES_EXCHANGE, delayQueue(seconds), `*.wait.${seconds}s`)],
});

/**
 * Everything that the broker must have before a service publishes, so that no event is lost for a service
 * that has never started. No service may declare any of it.
 */
export function topologyOf({ subscriptions, snapshots = [] }: Routing): Topology {
  const pages = (service: string): string[] =>
    snapshots
      .filter(({ requestedBy }) => requestedBy.includes(service))
      .map(({ snapshot }) => snapshotKey(snapshot, service));
  const parts = [
    ...Object.entries(subscriptions).map(([service, types]) =>
      ofService(service, [...types.map(({ typeName }) => typeName), ...pages(service)]),
    ),
    ...DELAY_TIERS.map(ofWait),
  ];
  return {
    exchanges: [EVENTS_EXCHANGE, QUEUES_EXCHANGE, EXPIRED_DELAYS_EXCHANGE].map((name) => ({
      name,
      type: "topic",
      arguments: {},
    })),
    queues: parts.flatMap(({ queues }) => queues),
    bindings: parts.flatMap(({ bindings }) => bindings),
  };
}

/**
 * An exchange that routes nothing. Its name is a hash of the topology that the broker has. Clients cannot
 * list bindings, so a service checks that the exchange of its own version exists, and does not start without
 * it.
 */
export function topologyMarker(routing: Routing): Topology["exchanges"][number] {
  const topology = JSON.stringify(topologyOf(routing));
  const digest = createHash("sha256").update(topology).digest("hex").slice(0, 12);
  return { name: `ticketing.topology.${digest}`, type: "fanout", arguments: {} };
}

/**
 * What a broker with the delay plugin has in addition. The queue behind the delayed exchange is a classic
 * queue: when the plugin starts, it publishes all overdue messages without waiting for the leaders of quorum
 * queues. With a quorum queue, every such message was lost in our tests.
 */
export const delayedTopology: Topology = {
  exchanges: [
    {
      name: DELAYED_EXCHANGE,
      type: "x-delayed-message",
      arguments: { "x-delayed-type": "fanout" },
    },
  ],
  queues: [{ name: DELAYED_QUEUE, arguments: { "x-queue-type": "classic" } }],
  bindings: [bind(DELAYED_EXCHANGE, DELAYED_QUEUE, "")],
};

/**
 * Declares a topology with the permissions of an administrator, for brokers that do not load definitions:
 * those of tests, and a shared one. The marker is declared last, so it exists only if everything else
 * exists.
 */
export async function declareTopology(channel: Channel, routing: Routing): Promise<void> {
  await declare(channel, topologyOf(routing));
  await declare(channel, { exchanges: [topologyMarker(routing)], queues: [], bindings: [] });
}

export async function declare(channel: Channel, topology: Topology): Promise<void> {
  for (const { name, type, arguments: args } of topology.exchanges) {
    await channel.assertExchange(name, type, { arguments: args });
  }
  for (const { name, arguments: args } of topology.queues) {
    await channel.assertQueue(name, { arguments: args });
  }
  for (const { source, destination, routing_key: key } of topology.bindings) {
    await channel.bindQueue(destination, source, key);
  }
}

/**
 * Checks that the broker has the plugin's exchange and can use it. The exchange alone proves nothing: it
 * remains when the plugin is disabled. Without the plugin, the broker closes the channel or the connection,
 * so both must be used for nothing else.
 */
export async function checkDelayedExchange(channel: Channel): Promise<void> {
  await channel.checkExchange(DELAYED_EXCHANGE); // A new exchange would have no bindings.
  for (const { name, type, arguments: args } of delayedTopology.exchanges) {
    await channel.assertExchange(name, type, { arguments: args });
  }
}

/**
 * Whether any service subscribes to this type. If so, an event that the broker cannot route raises an alarm.
 */
export const hasSubscriber = (services: Subscriptions, type: string): boolean =>
  Object.values(services).some((types) => types.some(({ typeName }) => typeName === type));
