import type { Channel, ConfirmChannel, GetMessage, Options } from "amqplib";
import { deadLetterQueue } from "#runtime/messaging/topology/topology.ts";
import { CliError } from "../cli-error.ts";

/** Resolves when the broker has stored the message in the queue. One call at a time per channel. */
export async function send(
  channel: ConfirmChannel,
  queue: string,
  content: Buffer,
  properties: Options.Publish,
): Promise<void> {
  let returned = false;
  const onReturn = (): void => void (returned = true);
  channel.once("return", onReturn);
  await new Promise<void>((resolve, reject) => {
    const settle = (error: unknown): void => (error ? reject(error as Error) : resolve());
    channel.publish("", queue, content, { ...properties, mandatory: true }, settle);
  }).finally(() => channel.off("return", onReturn));
  if (returned) throw new CliError(`Queue ${queue} does not exist.`);
}

/**
 * Passes the oldest dead letters of a service to `onMessage`, which acknowledges a message and returns
 * "settled", or returns "left". Messages that are left go back to the queue in their order.
 */
export async function visitDeadLetters(
  channel: ConfirmChannel,
  service: string,
  limit: number,
  onMessage: (message: GetMessage) => Promise<"settled" | "left">,
): Promise<{ left: number }> {
  const queue = deadLetterQueue(service);
  let left = await depth(channel, queue);
  const end = Math.min(limit, left);
  const unsettled: GetMessage[] = [];
  for (let i = 0; i < end; i += 1) {
    const message = await channel.get(queue);
    if (!message) break;
    left = message.fields.messageCount;
    if ((await onMessage(message)) === "left") unsettled.push(message);
  }
  for (const message of unsettled) channel.nack(message);
  return { left };
}

/** The number of messages that are ready in a queue. */
export async function depth(channel: Channel, queue: string): Promise<number> {
  const { messageCount } = await channel.checkQueue(queue).catch(() => {
    throw new CliError(`Queue ${queue} does not exist: no service has run on this broker yet.`);
  });
  return messageCount;
}
