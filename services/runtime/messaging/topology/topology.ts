import { createHash } from "node:crypto";
import type { DescMessage } from "@bufbuild/protobuf";
import type { Channel } from "amqplib";

/** Which events each service hears: its queue's name, which is its own, and their types. */
export type Subscriptions = Readonly<Record<string, readonly DescMessage[]>>;

/** Which services may ask the owner of something for all of it; the request stands in its package. */
export interface SnapshotRoute {
  readonly request: DescMessage;
  readonly snapshot: DescMessage;
  readonly requestedBy: readonly string[];
}

/** Where messages go: everything from which the broker's exchanges and queues follow. */
export interface Routing {
  readonly subscriptions: Subscriptions;
  readonly snapshots?: readonly SnapshotRoute[];
}

/** What the broker holds, in the words of its own definitions. */
export interface Topology {
  exchanges: { name: string; type: string; arguments: Record<string, unknown> }[];
  queues: { name: string; arguments: Record<string, unknown> }[];
  bindings: { source: string; destination: string; routing_key: string }[];
}

/** The exchange of all events; the routing key is the event's full Protobuf name. */
export const EVENTS_EXCHANGE = "ticketing.events";

/**
 * The exchange that leads into a service's own queues. In place of the default exchange, which leads
 * into every queue and knows no permissions by key: here a service may use the keys of its own name.
 */
export const QUEUES_EXCHANGE = "ticketing.queues";
/** Where messages come out of the waiting queues. Only the broker itself publishes there. */
const EXPIRED_DELAYS_EXCHANGE = "ticketing.waited";

/** The key in `QUEUES_EXCHANGE` that leads into a service's queue. */
export const immediateKey = (service: string): string => `${service}.now`;

/** The key of one page of a snapshot, in `EVENTS_EXCHANGE`: only the service that asked for it hears it. */
export const snapshotKey = (snapshot: DescMessage, requestedBy: string): string =>
  `${snapshot.typeName}.${requestedBy}`;

/**
 * How long messages can wait with the broker, in seconds, one queue each. The shortest is how late a
 * message may come out; each one more is a queue to keep.
 */
export const DELAY_TIERS = [0.2, 1, 10, 60, 600, 900] as const;
export type DelayTier = (typeof DELAY_TIERS)[number];

export const delayQueue = (seconds: DelayTier): string => `ticketing.waiting.${seconds}s`;

/** The key in `QUEUES_EXCHANGE` that leaves a message waiting, to come out into the service's queue. */
export const delayKey = (service: string, seconds: DelayTier): string =>
  `${service}.wait.${seconds}s`;

/** The exchange that waits by itself, where the broker has the plugin for it, and the queue behind it. */
export const DELAYED_EXCHANGE = "ticketing.delayed";
export const DELAYED_QUEUE = "ticketing.delayed.due";

/** Where a service's messages end that it could not handle; also the key in `QUEUES_EXCHANGE` that leads there. */
export const deadLetterQueue = (service: string): string => `${service}.dead`;

/** Far above what tries need: the broker's own count includes crashes, ours does not. */
const DELIVERY_LIMIT = 100;
/** By default the broker throws a dead letter away once it has been looked at twenty times. */
const NEVER = 1_000_000_000;

/** Dead-lettering at least once, into quorum queues, lost nothing in any kill that was tried. */
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
  const giveUp = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead };
  return {
    queues: [
      { name: dead, arguments: { "x-queue-type": "quorum", "x-delivery-limit": NEVER } },
      { name: service, arguments: { ...SAFELY, ...giveUp, "x-delivery-limit": DELIVERY_LIMIT } },
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
 * One time to live for a whole queue, and in its name: a message's own would wait behind a longer
 * one in front of it, and a queue's arguments can never change.
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
 * Everything that the broker must hold before a service publishes, so that no event is lost to a
 * service that has never been started. No service may declare any of it.
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
 * An exchange that routes nothing. Its name says which topology the broker holds: a client cannot ask
 * for bindings, so a service that does not find the one of its own routing does not begin.
 */
export function topologyMarker(routing: Routing): Topology["exchanges"][number] {
  const topology = JSON.stringify(topologyOf(routing));
  const digest = createHash("sha256").update(topology).digest("hex").slice(0, 12);
  return { name: `ticketing.topology.${digest}`, type: "fanout", arguments: {} };
}

/**
 * What a broker with the plugin for delays holds more. The queue behind its exchange is a classic one:
 * when it starts, the plugin sends what fell due meanwhile without waiting for the leaders of quorum
 * queues, and with one of those behind it lost every such message that we tried.
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
 * Declares a topology with an administrator's rights, for brokers that load no definitions: those of
 * tests, and one that is shared. The marker comes last; who finds it, finds all else.
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
 * Makes sure that the broker has the plugin's exchange, and can use it. That it exists is not enough:
 * where the plugin was switched off, its exchange is still there. A broker without the plugin closes
 * the channel or the connection over the declaration, so neither may be anybody else's.
 */
export async function checkDelayedExchange(channel: Channel): Promise<void> {
  await channel.checkExchange(DELAYED_EXCHANGE); // Made by nobody here, it would lead nowhere.
  for (const { name, type, arguments: args } of delayedTopology.exchanges) {
    await channel.assertExchange(name, type, { arguments: args });
  }
}

/** Whether anybody hears events of this type; if so, one that the broker cannot route is an alarm. */
export const hasSubscriber = (services: Subscriptions, type: string): boolean =>
  Object.values(services).some((types) => types.some(({ typeName }) => typeName === type));
