import { HOUR_MS, MINUTE_MS } from "#runtime/values/time.ts";

const MAX_INTERVAL_MS = HOUR_MS;

/** The interval between two polls is this part of the time since the last change. */
const PART_OF_AGE = 6;

/**
 * An interval that grows with the time since the last change, within bounds. It has jitter, so that
 * payments that began together are not polled together.
 */
export const growingIntervalMs = (ageMs: number, leastMs: number, mostMs: number): number =>
  Math.min(Math.max(ageMs / PART_OF_AGE, leastMs), mostMs) * (0.8 + 0.2 * Math.random());

/**
 * The interval until the next poll: a minute for a payment that has just changed, up to an hour for one
 * that has not changed for long.
 */
export const pollIntervalMs = (ageMs: number): number =>
  growingIntervalMs(ageMs, MINUTE_MS, MAX_INTERVAL_MS);
