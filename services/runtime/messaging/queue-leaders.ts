import type { Channel } from "amqplib";
import { deadLetterQueue } from "./topology.ts";

/**
 * Resolves when the service's own quorum queues have a leader. One that was declared a moment before
 * its broker was killed may come back without: the broker lists it as running, but it takes and gives
 * nothing, and an operation on it ends with its connection. A queue that counts messages has a leader;
 * an empty one is asked for a message, and only a leader can answer that there is none.
 */
export async function checkQueueLeaders(channel: Channel, service: string): Promise<void> {
  for (const queue of [service, deadLetterQueue(service)]) {
    const { messageCount } = await channel.checkQueue(queue);
    const message = messageCount === 0 && (await channel.get(queue));
    if (message) channel.nack(message); // It came in between, and is for another.
  }
}
