import type { ChannelModel } from "amqplib";
import { deadQueue, waitExchange, WAITS } from "#runtime/topology.ts";
import { manage, type Management } from "#stack/rabbit/management.ts";
import { services } from "./letters.ts";
import { age, table } from "./table.ts";
import { Trouble, vhostOf, type Where } from "./where.ts";

/** A queue in numbers; what is not known is left out. */
export interface QueueStats {
  name: string;
  ready: number;
  unacked?: number;
  consumers: number;
  inRate?: number;
  outRate?: number;
  oldest?: Date;
}

interface ManagedQueue {
  name: string;
  messages_ready?: number;
  messages_unacknowledged?: number;
  consumers?: number;
  head_message_timestamp?: number | string | null;
  message_stats?: { publish_details?: { rate: number }; ack_details?: { rate: number } };
}

/** All queues of the virtual host, as the management knows them. */
async function fromManagement(management: Management, vhost: string): Promise<QueueStats[]> {
  const path = `queues/${encodeURIComponent(vhost)}`;
  const queues = await manage(management, "GET", path).catch((error: unknown) => {
    throw new Trouble(`RabbitMQ's management does not answer: ${(error as Error).message}`);
  });
  return (queues as ManagedQueue[]).map((queue) => {
    const { head_message_timestamp: head, message_stats: rates } = queue;
    return {
      name: queue.name,
      ready: queue.messages_ready ?? 0,
      unacked: queue.messages_unacknowledged ?? 0,
      consumers: queue.consumers ?? 0,
      inRate: rates?.publish_details?.rate ?? 0,
      outRate: rates?.ack_details?.rate ?? 0,
      ...(typeof head === "number" ? { oldest: new Date(head * 1000) } : {}),
    };
  });
}

/** The queues that we declare ourselves, as any user of the broker may see them. */
async function fromBroker(connection: ChannelModel): Promise<QueueStats[]> {
  const names = services.flatMap((service) => [service, deadQueue(service)]);
  const found: QueueStats[] = [];
  for (const name of [...names, ...WAITS.map(waitExchange)]) {
    // Asking for a queue that is not there costs the channel.
    const channel = await connection.createChannel();
    channel.on("error", () => undefined);
    const queue = await channel.checkQueue(name).catch(() => undefined);
    if (!queue) continue;
    found.push({ name, ready: queue.messageCount, consumers: queue.consumerCount });
    await channel.close();
  }
  return found;
}

export const queueStats = (connection: ChannelModel, where: Where): Promise<QueueStats[]> =>
  where.management ? fromManagement(where.management, vhostOf(where.amqp)) : fromBroker(connection);

/** First the services, then the waits by their length, then the dead, then what else there is. */
function rank(name: string): number {
  const order = [...services, ...WAITS.map(waitExchange), ...services.map(deadQueue)];
  const index = order.indexOf(name);
  return index < 0 ? order.length : index;
}

const inOrder = (a: QueueStats, b: QueueStats): number =>
  rank(a.name) - rank(b.name) || a.name.localeCompare(b.name);

const rate = (perSecond: number | undefined): string => perSecond?.toFixed(1) ?? "";

export function statsTable(queues: readonly QueueStats[]): string {
  const heads = ["QUEUE", "READY", "UNACKED", "CONSUMERS", "IN/S", "OUT/S", "OLDEST"];
  const rows = queues
    .toSorted(inOrder)
    .map((queue) => [
      queue.name,
      String(queue.ready),
      String(queue.unacked ?? ""),
      String(queue.consumers),
      rate(queue.inRate),
      rate(queue.outRate),
      age(queue.oldest),
    ]);
  const known = heads.map((_, i) => rows.some((row) => row[i] !== ""));
  const kept = (row: readonly string[]) => row.filter((_, i) => known[i]);
  return table(kept(heads), rows.map(kept));
}
