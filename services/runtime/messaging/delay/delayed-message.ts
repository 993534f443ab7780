import type { ConsumeMessage, Options } from "amqplib";
import type { Broker } from "../broker.ts";
import { QUEUES_EXCHANGE, delayKey, DELAY_TIERS, type DelayTier } from "../topology.ts";

/** What is left to wait: bytes, and what goes with them. */
export interface DelayedMessage {
  content: Buffer;
  properties: Options.Publish;
}

/** The longest wait that is not longer than what is left; at least the shortest there is. */
export function longestTierWithin(leftMs: number): DelayTier {
  const fitting = DELAY_TIERS.filter((seconds) => seconds * 1000 <= leftMs);
  return fitting.at(-1) ?? DELAY_TIERS[0];
}

/**
 * Leaves a message with the broker, to come out into the queue of `service` after `wait`. The broker
 * does the waiting, so no restart of ours loses it.
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

/** All headers have to fit into one frame, with what is added to them. */
const MOST_HEADER_BYTES = 32 * 1024;

/**
 * The headers that can be sent again: not everything that can be received can be. A message that
 * could not be sent on would keep its place in our hands for ever.
 */
function sendable(headers: object): Record<string, unknown> {
  let left = MOST_HEADER_BYTES;
  const kept = Object.entries(headers).filter(([name, value]) => {
    if (typeof value !== "string" && typeof value !== "boolean" && !Number.isFinite(value))
      return false;
    left -= Buffer.byteLength(name) + Buffer.byteLength(String(value)) + 8;
    return left >= 0;
  });
  return Object.fromEntries(kept);
}

/** What of a received message goes with it when it is sent on. */
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
