import type { Channel, ConfirmChannel, GetMessage, Options } from "amqplib";
import { subscriptions } from "#marketplace/catalogue.ts";
import { fromProperties } from "#runtime/messaging/envelope.ts";
import { publisherOf } from "#runtime/messaging/ownership.ts";
import { deadQueue } from "#runtime/messaging/topology.ts";
import { Trouble } from "./broker.ts";

/** A message that a service could not handle. */
export interface Letter {
  readonly service: string;
  /** Of the event; empty where the message has none. */
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly reason: string;
  readonly tries: number | undefined;
  /** When what it tells of happened. */
  readonly time: Date | undefined;
}

export const services: readonly string[] = Object.keys(subscriptions);

export function mustBeService(name: string): string {
  if (services.includes(name)) return name;
  throw new Trouble(`No service "${name}" hears events; these do: ${services.join(", ")}.`, 2);
}

type Headers = Readonly<Record<string, unknown>>;

/** Why a message is dead: our own word, or the broker's where it gave it up by itself. */
function reasonOf(headers: Headers): string {
  const own = headers["x-ticketing-reason"];
  if (own !== undefined) return String(own);
  const broker = headers["x-last-death-reason"] ?? headers["x-first-death-reason"];
  return broker === undefined ? "nobody said" : `the broker gave it up: ${String(broker)}`;
}

export function toLetter(service: string, { properties }: Pick<GetMessage, "properties">): Letter {
  const { id, type, subject, time } = fromProperties(properties);
  const headers: Headers = properties.headers ?? {};
  const tries = headers["x-ticketing-tries"];
  return {
    service,
    id,
    type,
    subject,
    reason: reasonOf(headers),
    tries: tries === undefined ? undefined : Number(tries),
    time: Number.isNaN(time.getTime()) ? undefined : time,
  };
}

/**
 * A copy of a message as it was before its first try, in the name of who published it: whoever sends
 * it must be allowed to do that at the broker. What nobody may have published stays refused.
 */
export function asNew(
  { properties }: Pick<GetMessage, "properties">,
  service: string,
): Options.Publish {
  const { messageId, type, contentType, headers = {} } = properties;
  const userId = publisherOf(properties, service);
  const own = Object.entries(headers as Headers).filter(([name]) => !name.startsWith("x-"));
  return {
    ...(messageId === undefined ? {} : { messageId: String(messageId) }),
    ...(type === undefined ? {} : { type: String(type) }),
    ...(contentType === undefined ? {} : { contentType: String(contentType) }),
    ...(userId === undefined ? {} : { userId }),
    headers: Object.fromEntries(own),
    persistent: true,
  };
}

/** Resolves when the broker has the message safe in that queue. One at a time for each channel. */
export async function send(
  channel: ConfirmChannel,
  queue: string,
  content: Buffer,
  properties: Options.Publish,
): Promise<void> {
  let isLost = false;
  const lost = (): void => void (isLost = true);
  channel.once("return", lost);
  await new Promise<void>((resolve, reject) => {
    const settle = (error: unknown): void => (error ? reject(error as Error) : resolve());
    channel.publish("", queue, content, { ...properties, mandatory: true }, settle);
  }).finally(() => channel.off("return", lost));
  if (isLost) throw new Trouble(`There is no queue ${queue}.`);
}

/** Gives each of the oldest messages to `visit`, which settles it or leaves it: those go back. */
export async function visitDead(
  channel: ConfirmChannel,
  service: string,
  limit: number,
  visit: (message: GetMessage) => Promise<"settled" | "left">,
): Promise<{ left: number }> {
  const queue = deadQueue(service);
  let left = await depth(channel, queue);
  const end = Math.min(limit, left);
  const back: GetMessage[] = [];
  for (let i = 0; i < end; i += 1) {
    const message = await channel.get(queue);
    if (!message) break;
    left = message.fields.messageCount;
    if ((await visit(message)) === "left") back.push(message);
  }
  // In their order, so that the queue is as it was.
  for (const message of back) channel.nack(message);
  return { left };
}

/** How many messages are ready in a queue. */
export async function depth(channel: Channel, queue: string): Promise<number> {
  const { messageCount } = await channel.checkQueue(queue).catch(() => {
    throw new Trouble(`No queue ${queue} here: no service has ever run on this broker.`);
  });
  return messageCount;
}
