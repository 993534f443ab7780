import { localTime } from "./time.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Why a typed time is invalid. */
export interface TimeError {
  error: string;
}

const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?$/;

/**
 * Parses a local time in `timeZone` ("2027-06-04T20:00") into an instant. A text with an offset of
 * its own ("…Z", "…+02:00") keeps that. Days that do not exist, and times that daylight saving skips, are
 * errors. A time that occurs twice means the first, unless `later` is set.
 */
export function parseLocalTime(text: string, timeZone: string, later = false): number | TimeError {
  const match = TIME.exec(text.normalize("NFKC").trim());
  if (!match) return { error: "Choose a date and a time." };
  const [, day, clock, seconds = ":00", zone] = match;
  const minutes = `${day}T${clock}`;
  const asUtc = Date.parse(`${minutes}${seconds}Z`);
  // Date.parse reads 30 February as a day in March.
  if (Number.isNaN(asUtc) || !new Date(asUtc).toISOString().startsWith(minutes))
    return { error: "This date or time doesn’t exist." };
  if (zone) {
    const at = Date.parse(`${minutes}${seconds}${zone}`);
    return Number.isNaN(at) ? { error: "Choose a date and a time." } : at;
  }
  // Only the zone's offsets of the day before and the day after can apply at this time.
  const offsets = [-1, 1].map((days) => offset(asUtc + days * DAY_MS, timeZone));
  const candidates = offsets
    .map((each) => asUtc - each)
    .filter((each) => localTime(each, timeZone) === minutes);
  if (candidates.length === 0)
    return { error: "Clocks go forward then and skip this time. Choose another." };
  return later ? Math.max(...candidates) : Math.min(...candidates);
}

/** Whether this is the second of two instants with the same local time in `timeZone`. */
export function isRepeatedTime(timeMs: number, timeZone: string): boolean {
  const first = parseLocalTime(localTime(timeMs, timeZone), timeZone);
  return typeof first === "number" && first < Math.floor(timeMs / MINUTE_MS) * MINUTE_MS;
}

function offset(timeMs: number, timeZone: string): number {
  return Date.parse(`${localTime(timeMs, timeZone)}Z`) - Math.floor(timeMs / MINUTE_MS) * MINUTE_MS;
}
