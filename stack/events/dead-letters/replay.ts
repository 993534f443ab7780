import type { ConfirmChannel } from "amqplib";
import { originalProperties, toDeadLetter, type DeadLetter } from "./dead-letter.ts";
import { send, visitDeadLetters } from "./queue.ts";

/**
 * Sends dead letters to the queue of their service, as they were before the first try: those with
 * these IDs, or all. A dead letter is removed once the broker has stored the copy. A crash in between
 * leaves two copies and loses none, and consumers are idempotent.
 */
export async function replay(
  channel: ConfirmChannel,
  service: string,
  ids: readonly string[],
  onReplayed: (letter: DeadLetter) => void,
): Promise<number> {
  let count = 0;
  await visitDeadLetters(channel, service, Number.POSITIVE_INFINITY, async (message) => {
    const letter = toDeadLetter(service, message);
    if (ids.length > 0 && !ids.includes(letter.id)) return "left";
    await send(channel, service, message.content, originalProperties(message, service));
    channel.ack(message);
    count += 1;
    onReplayed(letter);
    return "settled";
  });
  return count;
}
