import type { ConfirmChannel } from "amqplib";
import { asNew, send, toLetter, visitDead, type Letter } from "./dead-letters.ts";

/**
 * Sends dead letters to the queue of their service as if they had never been tried: those with these
 * ids, or all that there are now. Each is taken away when the broker has it safe in its new place,
 * so a crash between leaves it twice, never lost; every consumer bears hearing it twice.
 */
export async function replay(
  channel: ConfirmChannel,
  service: string,
  ids: readonly string[],
  report: (letter: Letter) => void,
): Promise<number> {
  let sent = 0;
  await visitDead(channel, service, Number.POSITIVE_INFINITY, async (message) => {
    const letter = toLetter(service, message);
    if (ids.length > 0 && !ids.includes(letter.id)) return "left";
    await send(channel, service, message.content, asNew(message, service));
    channel.ack(message);
    sent += 1;
    report(letter);
    return "settled";
  });
  return sent;
}
