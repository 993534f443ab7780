import { v7, version } from "uuid";

/** A new id: a UUIDv7, whose order is that of time. */
export const newId = (): string => v7();

/** When an id was made, in milliseconds since 1970; 0 for one that is not ours. */
export function createTimeOf(id: string): number {
  try {
    return version(id) === 7 ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : 0;
  } catch {
    return 0;
  }
}

/** The clocks of two machines may be this far apart. */
const CLOCK_SKEW_MS = 10_000;

/**
 * Whether a thing with this id may be there although we have not heard of it: it was made no longer ago
 * than news may travel. An id of the future is made up, and waiting for it is pointless.
 */
export function isRecentId(id: string, now: number, newsTravelsMs: number): boolean {
  const age = now - createTimeOf(id);
  return age < newsTravelsMs && age > -CLOCK_SKEW_MS;
}

/**
 * When to ask again for a thing of which we have not heard: soon while it is new, and more rarely the
 * older it is, so that nobody asks all the time for one that somebody has made up.
 */
export const retryDelayMs = (id: string, now: number): number =>
  Math.min(Math.max(200, Math.round((now - createTimeOf(id)) / 5)), 60_000);

/** The smallest id of a millisecond: those made before are smaller, those made later are not. */
export function smallestIdAt(ms: number): string {
  const time = Math.max(0, Math.floor(ms)).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}
