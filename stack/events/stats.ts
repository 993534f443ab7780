import type { Channel, ChannelModel, ConfirmChannel } from "amqplib";
import { delayQueue, DELAY_TIERS } from "#runtime/messaging/topology/topology.ts";
import { manage } from "#stack/parts";
import { vhostOf, type BrokerTarget } from "./broker.ts";
import { CliError } from "./cli-error.ts";
import { consumers } from "./dead-letters/dead-letter.ts";
import { listDeadLetters } from "./dead-letters/list.ts";
import { readOutbox, type Outbox } from "./outboxes.ts";
import { age, table } from "./text-table.ts";

/** The numbers of one service. Unknown numbers are undefined. */
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
  /** The number of delayed messages at the broker by their delay. */
  waiting: Record<string, number>;
}

export type Outboxes = ReadonlyMap<string, Outbox>;

export async function readOutboxes({ databases }: BrokerTarget): Promise<Outboxes> {
  const all = Object.entries(databases).map(
    async ([service, uri]) => [service, await readOutbox(uri)] as const,
  );
  return new Map(await Promise.all(all));
}

/** The numbers that are known without the broker. */
export const statsWithoutBroker = (outboxes: Outboxes): Stats => ({
  services: [...outboxes].map(([service, outbox]) => ({ service, outbox })),
  waiting: {},
});

export async function readStats(
  connection: ChannelModel,
  target: BrokerTarget,
  outboxes: Outboxes,
): Promise<Stats> {
  const unackedByQueue = await readUnacked(target);
  const stats: Stats = { services: [], waiting: {} };
  for (const service of new Set([...outboxes.keys(), ...consumers])) {
    const unacked = unackedByQueue.get(service);
    const outbox = outboxes.get(service);
    stats.services.push({
      service,
      ...(consumers.includes(service) ? await readQueue(connection, service) : {}),
      ...(unacked === undefined ? {} : { unacked }),
      ...(outbox && { outbox }),
    });
  }
  for (const seconds of DELAY_TIERS) {
    const queue = await inChannel(connection, checkQueue(delayQueue(seconds)));
    if (queue) stats.waiting[`${seconds} s`] = queue.messageCount;
  }
  return stats;
}

/** Runs `work` in a channel of its own: the broker closes the channel when a queue does not exist. */
async function inChannel<T>(
  connection: ChannelModel,
  work: (channel: ConfirmChannel) => Promise<T>,
): Promise<T | undefined> {
  const channel = await connection.createConfirmChannel();
  channel.on("error", () => undefined);
  const result = await work(channel).catch(() => undefined);
  await channel.close().catch(() => undefined);
  return result;
}

const checkQueue = (queue: string) => (channel: Channel) => channel.checkQueue(queue);

async function readQueue(
  connection: ChannelModel,
  service: string,
): Promise<Partial<ServiceStats>> {
  const queue = await inChannel(connection, checkQueue(service));
  const dead = await inChannel(connection, (channel) => listDeadLetters(channel, [service], 1));
  const oldest = dead?.deadLetters[0]?.time;
  return {
    ...(queue && { ready: queue.messageCount, consumers: queue.consumerCount }),
    ...(dead && { dead: dead.deadLetters.length + dead.more }),
    ...(oldest && { oldestDead: oldest }),
  };
}

/** Unacknowledged messages by queue. The management API alone knows them, some seconds late. */
async function readUnacked({
  management,
  amqp,
}: BrokerTarget): Promise<ReadonlyMap<string, number>> {
  if (!management) return new Map();
  const path = `queues/${encodeURIComponent(vhostOf(amqp))}`;
  const queues = await manage(management, "GET", path).catch((error: unknown) => {
    throw new CliError(`Cannot read RabbitMQ's management API: ${(error as Error).message}`);
  });
  const known = queues as { name: string; messages_unacknowledged?: number }[];
  return new Map(known.map((queue) => [queue.name, queue.messages_unacknowledged ?? 0]));
}

const HEADERS = ["SERVICE", "READY", "UNACKED", "CONSUMERS", "DEAD", "OLDEST", "OUTBOX", "OLDEST"];
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
  const services = table(HEADERS, stats.services.map(row));
  const delays = Object.entries(stats.waiting);
  if (delays.length === 0) return services;
  const waiting = table(
    ["WAITING FOR", ...delays.map(([delay]) => delay)],
    [["messages", ...delays.map(([, messages]) => String(messages))]],
  );
  return `${services}\n\n${waiting}`;
}
