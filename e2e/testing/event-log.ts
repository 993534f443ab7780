import { connect } from "amqplib";
import { EVENTS_EXCHANGE } from "#runtime/messaging/topology/topology.ts";

/** An event as it was published to the exchange. */
export interface PublishedEvent {
  type: string;
  subject: string;
  at: number;
  body: Buffer;
}

export interface EventLog {
  readonly events: PublishedEvent[];
  close(): Promise<void>;
}

/**
 * Logs every published event, through an exclusive queue. Two instances may publish the same event, as
 * delivery is at least once; the log contains it once.
 */
export async function openEventLog(amqpUrl: string): Promise<EventLog> {
  const events: PublishedEvent[] = [];
  const messageIds = new Set<string>();
  const connection = await connect(amqpUrl);
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue("", { exclusive: true, autoDelete: true });
  await channel.bindQueue(queue, EVENTS_EXCHANGE, "#");
  await channel.consume(
    queue,
    (message) => {
      if (!message) return;
      const { type, headers, messageId } = message.properties;
      if (messageIds.has(String(messageId))) return;
      messageIds.add(String(messageId));
      const subject = String(headers?.["cloudEvents:subject"]);
      events.push({ type: String(type), subject, at: Date.now(), body: message.content });
    },
    { noAck: true },
  );
  return { events, close: () => connection.close() };
}
