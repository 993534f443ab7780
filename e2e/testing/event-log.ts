import { connect } from "amqplib";
import { EVENTS_EXCHANGE } from "#runtime/messaging/topology.ts";

/** One event as it went over the exchange. */
export interface PublishedEvent {
  type: string;
  subject: string;
  at: number;
  body: Buffer;
}

/**
 * Listens to every event, on a queue of its own that goes with it. Each is heard once: two replicas
 * may both publish what one of them has recorded, which consumers bear and a list would not.
 */
export async function openEventLog(
  amqpUrl: string,
): Promise<{ heard: PublishedEvent[]; close(): Promise<void> }> {
  const heard: PublishedEvent[] = [];
  const known = new Set<string>();
  const connection = await connect(amqpUrl);
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue("", { exclusive: true, autoDelete: true });
  await channel.bindQueue(queue, EVENTS_EXCHANGE, "#");
  await channel.consume(
    queue,
    (message) => {
      if (!message) return;
      const { type, headers, messageId } = message.properties;
      if (known.has(String(messageId))) return;
      known.add(String(messageId));
      const subject = String(headers?.["cloudEvents:subject"]);
      heard.push({ type: String(type), subject, at: Date.now(), body: message.content });
    },
    { noAck: true },
  );
  return { heard, close: () => connection.close() };
}
