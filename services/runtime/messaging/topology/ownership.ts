import type { MessageProperties } from "amqplib";
import type { Routing } from "./topology.ts";

// Determines who published a message. The broker accepts only the name of the connection's own user in
// `user_id`, so this property can be trusted, unlike the rest of a message.

/** The header in which a service records the original publisher of a message that it forwards to itself. */
export const ORIGINAL_PUBLISHER = "x-ticketing-publisher";

/**
 * The publisher of a message that `service` has received, or undefined if it is unknown. The header counts
 * only if the service itself forwarded the message: no other user can publish under its name.
 */
export function publisherOf(
  { userId, headers }: MessageProperties,
  service: string,
): string | undefined {
  const user = typeof userId === "string" ? userId : undefined;
  const first: unknown = user === service ? headers?.[ORIGINAL_PUBLISHER] : undefined;
  return typeof first === "string" ? first : user;
}

/** The service that owns a type of event: the package in the type's name is that of the publisher. */
export const ownerOf = (type: string): string | undefined =>
  /^ticketing\.(\w+)\.v\d+\.\w+$/.exec(type)?.[1];

export const defaultPublishers = (type: string): readonly string[] => [ownerOf(type) ?? []].flat();

/** Returns which services may publish a type: its owner or, for a snapshot request, the requesters. */
export function publishersOf({ snapshots = [] }: Routing): (type: string) => readonly string[] {
  const askers = new Map(
    snapshots.map(({ request, requestedBy }) => [request.typeName, requestedBy]),
  );
  return (type) => askers.get(type) ?? defaultPublishers(type);
}
