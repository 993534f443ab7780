import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import { invalidField } from "#runtime/errors.ts";

/** A date further ahead is a slip of the hand, and would keep its ticket in every list. */
const MOST_YEARS_AHEAD = 10;

/** The earliest and the latest date that a Timestamp can carry. */
const FIRST = new Date("0001-01-01T00:00:00Z");
const LAST = new Date("9999-12-31T00:00:00Z");

/** Dates outside the years that a Timestamp may hold would be stored, and then fit into no answer. */
export function toEventTime(time: Timestamp | undefined): Date | undefined {
  if (!time) return undefined;
  const date = timestampDate(time);
  if (date >= FIRST && date < LAST) return date;
  throw invalidField("event_time", "must lie within the years 1 to 9999");
}

/** Refuses a date that has passed or is too far ahead, unless it is the one that is stored. */
export function mustBeUpcoming(time: Date | undefined, now: number, stored?: Date): void {
  if (!time || time.getTime() === stored?.getTime()) return;
  if (time.getTime() <= now) throw invalidField("event_time", "must lie in the future");
  const end = new Date(now);
  end.setUTCFullYear(end.getUTCFullYear() + MOST_YEARS_AHEAD);
  if (time <= end) return;
  throw invalidField("event_time", `must be at most ${MOST_YEARS_AHEAD} years ahead`);
}

/** The usual spelling of each name, by its lower case: Intl takes names in any case. */
const spellings = new Map(
  Intl.supportedValuesOf("timeZone").map((name) => [name.toLowerCase(), name]),
);

/** The name of a time zone as it is stored; refuses one that nobody can show a time in. */
export function toTimeZone(name: string): string | undefined {
  if (name === "") return undefined;
  try {
    // An offset ("+02:00") is no place, and does not know when clocks change.
    if (!/^[A-Za-z]/.test(name)) throw new RangeError("not a name");
    new Intl.DateTimeFormat("en", { timeZone: name });
    return spellings.get(name.toLowerCase()) ?? name;
  } catch {
    throw invalidField("time_zone", "must be the IANA name of a time zone, such as Europe/Berlin");
  }
}
