import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import { invalidField } from "#runtime/errors.ts";

/** A date further ahead is a typing error, and would keep its ticket in every list. */
const MAX_YEARS_AHEAD = 10;

/** The earliest and the latest date that a Timestamp can carry. */
const FIRST = new Date("0001-01-01T00:00:00Z");
const LAST = new Date("9999-12-31T00:00:00Z");

/** A date outside a Timestamp's range could be stored, and then not be encoded in any response. */
export function toEventTime(time: Timestamp | undefined): Date | undefined {
  if (!time) return undefined;
  const date = timestampDate(time);
  if (date >= FIRST && date < LAST) return date;
  throw invalidField("event_time", "must lie within the years 1 to 9999");
}

/** Refuses a date that has passed or is too far ahead, unless it is the stored one. */
export function mustBeUpcoming(time: Date | undefined, now: number, stored?: Date): void {
  if (!time || time.getTime() === stored?.getTime()) return;
  if (time.getTime() <= now) throw invalidField("event_time", "must lie in the future");
  const end = new Date(now);
  end.setUTCFullYear(end.getUTCFullYear() + MAX_YEARS_AHEAD);
  if (time <= end) return;
  throw invalidField("event_time", `must be at most ${MAX_YEARS_AHEAD} years ahead`);
}

/** Names that Intl accepts but does not list, and whose spelling follows no rule. */
const irregular = [
  "America/Argentina/ComodRivadavia",
  "America/Knox_IN",
  "Australia/ACT",
  "Australia/LHI",
  "Australia/NSW",
];

/** The IANA spelling of each name by its lower case: Intl accepts any case. */
const spellings = new Map(
  [...Intl.supportedValuesOf("timeZone"), ...irregular].map((name) => [name.toLowerCase(), name]),
);

/** The areas in which IANA names cities. */
const city = /^(africa|america|antarctica|arctic|asia|atlantic|australia|europe|indian|pacific)\//;

/** The canonical name of a time zone; undefined if it is unknown. */
export function resolvedZone(name: string): string | undefined {
  // An offset ("+02:00") is not a time zone: it does not say when clocks change.
  if (!/^[A-Za-z]/.test(name)) return undefined;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

/** The name of a time zone as IANA spells it; refuses an unknown one. */
export function toTimeZone(name: string): string | undefined {
  if (name === "") return undefined;
  const resolved = resolvedZone(name);
  if (resolved === undefined)
    throw invalidField("time_zone", "must be the IANA name of a time zone, such as Europe/Berlin");
  const lower = name.toLowerCase();
  const listed = spellings.get(lower);
  if (listed !== undefined) return listed;
  // Asia/Kolkata is listed as Asia/Calcutta and keeps its own name; Japan, US/Pacific and Zulu do not.
  if (!city.test(lower)) return resolved;
  return lower.replace(/(?<![a-z])[a-z]/g, (letter) => letter.toUpperCase());
}
