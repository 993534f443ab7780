import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Preferences } from "#lib/preferences.svelte.ts";
import { formatTime, isTimeZone, localTime, timeFormat, toMillis } from "./time.ts";

/** When an event starts, as a ticket or an order stores it. */
export interface EventTime {
  eventTime?: Timestamp | undefined;
  /** The IANA name of the venue's time zone; empty if the seller did not choose one. */
  timeZone: string;
}

/** The time zone that an event is shown in: its own, or UTC if it has none. */
export const eventZone = ({ timeZone }: Pick<EventTime, "timeZone">): string =>
  isTimeZone(timeZone) ? timeZone : "UTC";

const areas = /^(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)\//;

/** The town that a time zone is named after, "New York"; undefined if its name is not a place. */
export const townOf = (timeZone: string): string | undefined =>
  areas.test(timeZone) ? timeZone.split("/").at(-1)?.replaceAll("_", " ") : undefined;

/** The time at the venue: "Sat, 5 Jun 2027, 20:00 in New York". */
function formatAtVenue(timeMs: number, locale: string, timeZone: string): string {
  const town = townOf(timeZone);
  if (!town) return formatTime(timeMs, locale, timeZone);
  const parts = timeFormat("time", locale, timeZone).formatToParts(timeMs);
  // The town replaces the zone's short name, which is ambiguous: "EST" is used on three continents.
  const clock = parts.map(({ type, value }) => (type === "timeZoneName" ? "" : value)).join("");
  return `${clock.trim()} in ${town}`;
}

/** When an event starts, in the time at the venue and, if it differs, in the user's own time zone. */
export function formatEventTime(event: EventTime, { locale, timeZone }: Preferences) {
  if (!event.eventTime) return undefined;
  const timeMs = toMillis(event.eventTime);
  const zone = eventZone(event);
  const differs = localTime(timeMs, zone) !== localTime(timeMs, timeZone);
  return {
    atVenue: formatAtVenue(timeMs, locale, zone),
    local: differs ? formatTime(timeMs, locale, timeZone) : undefined,
  };
}
