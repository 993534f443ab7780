import { v7, version } from "uuid";

/** A new ID: a UUIDv7. UUIDv7s are ordered by time. */
export const newId = (): string => v7();

/** When an ID was created, in milliseconds since 1970; 0 if it is not a UUIDv7. */
export function createTimeOf(id: string): number {
  try {
    return version(id) === 7 ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : 0;
  } catch {
    return 0;
  }
}

/** The maximum difference between the clocks of two machines. */
const CLOCK_SKEW_MS = 10_000;

/**
 * Whether an object with this ID may exist although its event has not arrived: the ID is younger than the
 * maximum delay of events. An ID from the future is not genuine, so waiting for it is pointless.
 */
export function isRecentId(id: string, now: number, maxEventDelayMs: number): boolean {
  const age = now - createTimeOf(id);
  return age < maxEventDelayMs && age > -CLOCK_SKEW_MS;
}

/**
 * When to look again for an object whose event has not arrived: soon while the ID is new, and less often the
 * older it is, so an invented ID causes few requests.
 */
export const retryDelayMs = (id: string, now: number): number =>
  Math.min(Math.max(200, Math.round((now - createTimeOf(id)) / 5)), 60_000);

/** The smallest ID of a millisecond: IDs created earlier are smaller, IDs created later are not. */
export function smallestIdAt(ms: number): string {
  const time = Math.max(0, Math.floor(ms)).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}
