import type { Channel } from "amqplib";
import { deadLetterQueue } from "../topology/topology.ts";

/**
 * Resolves when the service's quorum queues have a leader. A queue that was declared just before its
 * broker was killed may return without one: the broker lists it as running, but it neither stores nor
 * delivers, and an operation on it lasts as long as its connection. A queue that counts messages has a
 * leader. From an empty one a message is requested: only a leader can answer that there is none.
 */
export async function checkQueueLeaders(channel: Channel, service: string): Promise<void> {
  for (const queue of [service, deadLetterQueue(service)]) {
    const { messageCount } = await channel.checkQueue(queue);
    const message = messageCount === 0 && (await channel.get(queue));
    if (message) channel.nack(message); // It arrived just now and belongs to a consumer.
  }
}
