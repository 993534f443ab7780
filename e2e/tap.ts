import { connect } from "amqplib";
import { EVENTS } from "#runtime/topology.ts";

/** One event as it went over the exchange. */
export interface Heard {
  type: string;
  subject: string;
  at: number;
  body: Buffer;
}

/** Listens to every event, on a queue of its own that goes with it. */
export async function tap(amqpUrl: string): Promise<{ heard: Heard[]; close(): Promise<void> }> {
  const heard: Heard[] = [];
  const connection = await connect(amqpUrl);
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue("", { exclusive: true, autoDelete: true });
  await channel.bindQueue(queue, EVENTS, "#");
  await channel.consume(
    queue,
    (message) => {
      if (!message) return;
      const { type, headers } = message.properties;
      const subject = String(headers?.["cloudEvents:subject"]);
      heard.push({ type: String(type), subject, at: Date.now(), body: message.content });
    },
    { noAck: true },
  );
  return { heard, close: () => connection.close() };
}
