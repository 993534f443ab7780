import type { ConfirmChannel } from "amqplib";
import { asNew, send, toLetter, visitDead, type Letter } from "./letters.ts";

/** What stands for the way of a message and not for the event: with it, its tries would go on. */
const isOfTheWay = (header: string): boolean => header.startsWith("x-");

/**
 * Sends dead letters to the queue of their service as if they had never been tried: all that there
 * are now, or those with these ids. Each is taken away when the broker has it safe in its new place,
 * so a crash between leaves it twice, never lost; every consumer bears hearing it twice.
 */
export async function replay(
  channel: ConfirmChannel,
  service: string,
  ids: readonly string[] | "all",
  report: (letter: Letter) => void,
): Promise<number> {
  let sent = 0;
  await visitDead(channel, service, Number.POSITIVE_INFINITY, async (message) => {
    const letter = toLetter(service, message);
    if (ids !== "all" && !ids.includes(letter.id)) return "left";
    const properties = asNew(message, (header) => !isOfTheWay(header));
    await send(channel, service, message.content, properties);
    channel.ack(message);
    sent += 1;
    report(letter);
    return "settled";
  });
  return sent;
}
