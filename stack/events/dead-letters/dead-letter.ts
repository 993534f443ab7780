import type { GetMessage, Options } from "amqplib";
import { subscriptions } from "#marketplace/catalogue.ts";
import { fromProperties } from "#runtime/messaging/topology/envelope.ts";
import { publisherOf } from "#runtime/messaging/topology/ownership.ts";
import { UsageError } from "../cli-error.ts";

/** A message that a service could not handle. */
export interface DeadLetter {
  readonly service: string;
  /** The ID of the event, or an empty string if the message has none. */
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly reason: string;
  readonly tries: number | undefined;
  /** The time of the event. */
  readonly time: Date | undefined;
}

/** The services that consume events, and so can have dead letters. */
export const consumers: readonly string[] = Object.keys(subscriptions);

export function assertService(name: string): string {
  if (consumers.includes(name)) return name;
  throw new UsageError(
    `Unknown service "${name}". The services that consume events are ${consumers.join(", ")}.`,
  );
}

type Headers = Readonly<Record<string, unknown>>;

/** The reason of the consumer, or that of the broker if the broker dead-lettered the message. */
function reasonOf(headers: Headers): string {
  const own = headers["x-ticketing-reason"];
  if (own !== undefined) return String(own);
  const broker = headers["x-last-death-reason"] ?? headers["x-first-death-reason"];
  return broker === undefined ? "unknown" : `dead-lettered by the broker: ${String(broker)}`;
}

export function toDeadLetter(
  service: string,
  { properties }: Pick<GetMessage, "properties">,
): DeadLetter {
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
 * The properties of a message as they were before its first try. They name the original publisher, so
 * a forged message is rejected again. The broker requires the tag `impersonator` for that.
 */
export function originalProperties(
  { properties }: Pick<GetMessage, "properties">,
  service: string,
): Options.Publish {
  const { messageId, type, contentType, headers = {} } = properties;
  const userId = publisherOf(properties, service);
  const original = Object.entries(headers as Headers).filter(([name]) => !name.startsWith("x-"));
  return {
    ...(messageId === undefined ? {} : { messageId: String(messageId) }),
    ...(type === undefined ? {} : { type: String(type) }),
    ...(contentType === undefined ? {} : { contentType: String(contentType) }),
    ...(userId === undefined ? {} : { userId }),
    headers: Object.fromEntries(original),
    persistent: true,
  };
}
