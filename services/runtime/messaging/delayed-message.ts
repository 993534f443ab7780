import type { ConsumeMessage, Options } from "amqplib";
import type { Broker } from "./broker/broker.ts";
import { QUEUES_EXCHANGE, delayKey, DELAY_TIERS, type DelayTier } from "./topology/topology.ts";

/** A message to deliver later. */
export interface DelayedMessage {
  content: Buffer;
  properties: Options.Publish;
}

/** The longest tier that does not exceed the remaining time, or the shortest tier. */
export function longestTierWithin(leftMs: number): DelayTier {
  const fitting = DELAY_TIERS.filter((seconds) => seconds * 1000 <= leftMs);
  return fitting.at(-1) ?? DELAY_TIERS[0];
}

/**
 * Publishes a message to a delay queue. After the delay the broker moves it to the queue of `service`, so
 * no restart of the service loses it.
 */
export async function publishDelayed(
  broker: Broker,
  wait: DelayTier,
  service: string,
  { content, properties }: DelayedMessage,
): Promise<void> {
  await broker.publish(QUEUES_EXCHANGE, delayKey(service, wait), content, {
    ...properties,
    mandatory: true,
  });
}

/** All headers must fit into one frame, together with those that are added. */
const MAX_HEADER_BYTES = 32 * 1024;

/**
 * The headers that can be published again: not every header that can be received can. A message that
 * could not be forwarded would never be settled.
 */
function sendable(headers: object): Record<string, unknown> {
  let left = MAX_HEADER_BYTES;
  const kept = Object.entries(headers).filter(([name, value]) => {
    if (typeof value !== "string" && typeof value !== "boolean" && !Number.isFinite(value))
      return false;
    left -= Buffer.byteLength(name) + Buffer.byteLength(String(value)) + 8;
    return left >= 0;
  });
  return Object.fromEntries(kept);
}

/** The properties of a received message that are kept when it is forwarded. */
export function forwardedProperties(
  { properties }: ConsumeMessage,
  headers: object = {},
): Options.Publish {
  const { messageId, type, contentType } = properties;
  return {
    ...(messageId === undefined ? {} : { messageId: String(messageId) }),
    ...(type === undefined ? {} : { type: String(type) }),
    ...(contentType === undefined ? {} : { contentType: String(contentType) }),
    headers: { ...sendable(properties.headers ?? {}), ...headers },
  };
}
