import type { MessageProperties } from "amqplib";
import type { Routing } from "./topology.ts";

// Who published a message. The broker lets a connection give no other name in `user_id` than that of
// its own user, so what stands there is true, unlike all else that a message says of itself.

/** What a service writes on a message that it sends to itself again: who published it at first. */
export const ORIGINAL_PUBLISHER = "x-ticketing-publisher";

/**
 * Who published a message that `service` has received; undefined where nobody can know. The header
 * counts only where the service itself has sent the message on: nobody else can send in its name.
 */
export function publisherOf(
  { userId, headers }: MessageProperties,
  service: string,
): string | undefined {
  const user = typeof userId === "string" ? userId : undefined;
  const first: unknown = user === service ? headers?.[ORIGINAL_PUBLISHER] : undefined;
  return typeof first === "string" ? first : user;
}

/** The service that a type of event belongs to: the package in its name is its publisher. */
export const ownerOf = (type: string): string | undefined =>
  /^ticketing\.(\w+)\.v\d+\.\w+$/.exec(type)?.[1];

export const defaultPublishers = (type: string): readonly string[] => [ownerOf(type) ?? []].flat();

/** Says which services may publish a type: its owner, or those who may ask the owner by it. */
export function publishersOf({ snapshots = [] }: Routing): (type: string) => readonly string[] {
  const askers = new Map(
    snapshots.map(({ request, requestedBy }) => [request.typeName, requestedBy]),
  );
  return (type) => askers.get(type) ?? defaultPublishers(type);
}
