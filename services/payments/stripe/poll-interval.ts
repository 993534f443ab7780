const MINUTE_MS = 60_000;

const LONGEST_GAP_MS = 3_600_000;

/** The gap between two polls, as a part of how long nothing has happened to a payment. */
const PART_OF_AGE = 6;

/**
 * A gap that grows with how long nothing has happened, within bounds. Spread, so that what began
 * together does not come together.
 */
export const growingIntervalMs = (ageMs: number, leastMs: number, mostMs: number): number =>
  Math.min(Math.max(ageMs / PART_OF_AGE, leastMs), mostMs) * (0.8 + 0.2 * Math.random());

/**
 * How long after a poll the next one comes: a minute while a payment is young, up to an hour for one to
 * which nothing has happened for long.
 */
export const pollIntervalMs = (ageMs: number): number =>
  growingIntervalMs(ageMs, MINUTE_MS, LONGEST_GAP_MS);
