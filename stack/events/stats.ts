import type { Channel, ChannelModel, ConfirmChannel } from "amqplib";
import { waitQueue, WAITS } from "#runtime/messaging/topology.ts";
import { manage } from "#stack/parts";
import { listDead } from "./dead-letter-list.ts";
import { services } from "./dead-letters.ts";
import type { Outbox } from "./outboxes.ts";
import { age, table } from "./text-table.ts";
import { Trouble, vhostOf, type Where } from "./broker.ts";

/** A service in numbers; what is not known is left out. */
export interface ServiceStats {
  service: string;
  ready?: number;
  unacked?: number;
  consumers?: number;
  dead?: number;
  oldestDead?: Date;
  outbox?: Outbox;
}

export interface Stats {
  services: ServiceStats[];
  /** How many messages wait with the broker, by the seconds that they wait. */
  waiting: Record<string, number>;
}

/** On a channel of its own: a no of the broker, as to a queue that is not there, costs it. */
async function ask<T>(
  connection: ChannelModel,
  question: (channel: ConfirmChannel) => Promise<T>,
): Promise<T | undefined> {
  const channel = await connection.createConfirmChannel();
  channel.on("error", () => undefined);
  const answer = await question(channel).catch(() => undefined);
  await channel.close().catch(() => undefined);
  return answer;
}

const look = (queue: string) => (channel: Channel) => channel.checkQueue(queue);

async function queueOf(connection: ChannelModel, service: string): Promise<Partial<ServiceStats>> {
  const queue = await ask(connection, look(service));
  const dead = await ask(connection, (channel) => listDead(channel, [service], 1));
  const oldest = dead?.letters[0]?.time;
  return {
    ...(queue && { ready: queue.messageCount, consumers: queue.consumerCount }),
    ...(dead && { dead: dead.letters.length + dead.more }),
    ...(oldest && { oldestDead: oldest }),
  };
}

/** What the services have in hand: only the management knows, and some seconds late. */
async function unackedOf({ management, amqp }: Where): Promise<ReadonlyMap<string, number>> {
  if (!management) return new Map();
  const path = `queues/${encodeURIComponent(vhostOf(amqp))}`;
  const queues = await manage(management, "GET", path).catch((error: unknown) => {
    throw new Trouble(`RabbitMQ's management does not answer: ${(error as Error).message}`);
  });
  const known = queues as { name: string; messages_unacknowledged?: number }[];
  return new Map(known.map((queue) => [queue.name, queue.messages_unacknowledged ?? 0]));
}

export type Outboxes = ReadonlyMap<string, Outbox>;

export async function readOutboxes({ databases }: Where): Promise<Outboxes> {
  const uris = Object.entries(databases);
  if (uris.length === 0) return new Map();
  // The database's driver is slow to load, and nothing else needs it.
  const { readOutbox } = await import("./outboxes.ts");
  const all = uris.map(async ([service, uri]) => [service, await readOutbox(uri)] as const);
  return new Map(await Promise.all(all));
}

/** What is known without the broker. */
export const withoutBroker = (outboxes: Outboxes): Stats => ({
  services: [...outboxes].map(([service, outbox]) => ({ service, outbox })),
  waiting: {},
});

export async function readStats(
  connection: ChannelModel,
  where: Where,
  outboxes: Outboxes,
): Promise<Stats> {
  const unacked = await unackedOf(where);
  const stats: Stats = { services: [], waiting: {} };
  for (const service of new Set([...outboxes.keys(), ...services])) {
    const inHand = unacked.get(service);
    const outbox = outboxes.get(service);
    stats.services.push({
      service,
      ...(services.includes(service) ? await queueOf(connection, service) : {}),
      ...(inHand === undefined ? {} : { unacked: inHand }),
      ...(outbox && { outbox }),
    });
  }
  for (const seconds of WAITS) {
    const queue = await ask(connection, look(waitQueue(seconds)));
    if (queue) stats.waiting[`${seconds} s`] = queue.messageCount;
  }
  return stats;
}

const heads = ["SERVICE", "READY", "UNACKED", "CONSUMERS", "DEAD", "OLDEST", "OUTBOX", "OLDEST"];
const cell = (value: number | string | undefined): string => String(value ?? "-");

function row({ service, outbox, ...stats }: ServiceStats): string[] {
  return [
    service,
    cell(stats.ready),
    cell(stats.unacked),
    cell(stats.consumers),
    cell(stats.dead),
    age(stats.oldestDead),
    outbox ? cell(outbox.waiting ?? "no answer") : "-",
    age(outbox?.oldest),
  ];
}

export function statsTable(stats: Stats): string {
  const all = table(heads, stats.services.map(row));
  const waits = Object.entries(stats.waiting);
  if (waits.length === 0) return all;
  const waiting = table(
    ["WAITING FOR", ...waits.map(([time]) => time)],
    [["messages", ...waits.map(([, messages]) => String(messages))]],
  );
  return `${all}\n\n${waiting}`;
}
