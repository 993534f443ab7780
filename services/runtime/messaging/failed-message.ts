import type { ConsumeMessage } from "amqplib";
import type { Broker } from "./broker/broker.ts";
import { forwardedProperties, publishDelayed } from "./delayed-message.ts";
import { ORIGINAL_PUBLISHER, publisherOf } from "./topology/ownership.ts";
import { deadLetterQueue, QUEUES_EXCHANGE, type DelayTier } from "./topology/topology.ts";

/** A message that cannot be read. Retrying it does not help. */
export class Unreadable extends Error {}

/** A message of a publisher that must not send it: a service's password has leaked. */
export class Forged extends Unreadable {}

/** A message that was not tried. The broker delivers it to another consumer. */
export class Untried extends Error {}

/** A message whose failures are not its own fault. It comes again after a delay, with the same count of tries. */
export class Postponed extends Error {}

/** What became of a message that failed. */
export type FailureOutcome = "retried" | "postponed" | "dead";

/** The delays between tries. After the last one a message becomes a dead letter. */
const RETRY_DELAYS: readonly DelayTier[] = [1, 10, 60, 600];
/** The delay of a postponed message. */
const POSTPONED_FOR: DelayTier = 1;
const TRIES = "x-ticketing-tries";
/** A header must fit into one frame. */
const MAX_REASON_LENGTH = 1_000;

/** How often a message was tried before. An invalid count is ignored. */
function triesOf({ properties }: ConsumeMessage): number {
  const tries: unknown = properties.headers?.[TRIES];
  return typeof tries === "number" && Number.isInteger(tries) && tries > 0 ? tries : 0;
}

/** Schedules the next try of a message that failed, or publishes it as a dead letter. */
export async function forwardFailed(
  broker: Broker,
  service: string,
  message: ConsumeMessage,
  error: Error,
): Promise<FailureOutcome> {
  const { content } = message;
  const publisher = { [ORIGINAL_PUBLISHER]: publisherOf(message.properties, service) };
  if (error instanceof Postponed) {
    const properties = forwardedProperties(message, publisher);
    await publishDelayed(broker, POSTPONED_FOR, service, { content, properties });
    return "postponed";
  }
  const tries = triesOf(message) + 1;
  const delay = error instanceof Unreadable ? undefined : RETRY_DELAYS[tries - 1];
  if (delay !== undefined) {
    const properties = forwardedProperties(message, { ...publisher, [TRIES]: tries });
    await publishDelayed(broker, delay, service, { content, properties });
    return "retried";
  }
  const properties = forwardedProperties(message, {
    ...publisher,
    [TRIES]: tries,
    "x-ticketing-reason": error.message.slice(0, MAX_REASON_LENGTH),
    "x-ticketing-origin": service,
  });
  const options = { ...properties, mandatory: true };
  await broker.publish(QUEUES_EXCHANGE, deadLetterQueue(service), content, options);
  return "dead";
}
