import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { formatTime, isTimeZone, millis, timeFormat, wallTime } from "./time.ts";
import type { Preferences } from "#lib/preferences.svelte.ts";

/** What a ticket, or an order of it, says of when its event begins. */
export interface EventTime {
  eventTime?: Timestamp | undefined;
  /** The IANA name of the zone of its place; empty where nobody said. */
  timeZone: string;
}

/** The zone that an event's time is shown in: its own, and UTC where it has none. */
export const eventZone = ({ timeZone }: Pick<EventTime, "timeZone">): string =>
  isTimeZone(timeZone) ? timeZone : "UTC";

const areas = /^(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)\//;

/** The town that a time zone is named after, "New York"; undefined where its name is no place. */
export const townOf = (timeZone: string): string | undefined =>
  areas.test(timeZone) ? timeZone.split("/").at(-1)?.replaceAll("_", " ") : undefined;

/** "Sat, 5 Jun 2027, 20:00 in New York": as the clocks at the venue show it. */
function formatThere(at: number, locale: string, timeZone: string): string {
  const town = townOf(timeZone);
  if (!town) return formatTime(at, locale, timeZone);
  const parts = timeFormat("time", locale, timeZone).formatToParts(at);
  // The town stands in for the zone's short name, which says less: "EST" is used on three continents.
  const clock = parts.map(({ type, value }) => (type === "timeZoneName" ? "" : value)).join("");
  return `${clock.trim()} in ${town}`;
}

/** When an event begins, at its venue, and by the visitor's own clocks where these show another time. */
export function formatEventTime(event: EventTime, { locale, timeZone }: Preferences) {
  if (!event.eventTime) return undefined;
  const at = millis(event.eventTime);
  const zone = eventZone(event);
  const differs = wallTime(at, zone) !== wallTime(at, timeZone);
  return {
    there: formatThere(at, locale, zone),
    here: differs ? formatTime(at, locale, timeZone) : undefined,
  };
}
