import { toSingleLine } from "#runtime/text.ts";
import { resolvedZone } from "./event-time.ts";
import type { Listing } from "./ticket.ts";

/** The time zone that pages show an event time in, whichever of its names was given. */
const shownZone = ({ timeZone = "UTC" }: Listing): string => resolvedZone(timeZone) ?? timeZone;

/** Whether a buyer sees the same, apart from the price, whose changes have a version of their own. */
export const sameDetails = (one: Listing, other: Listing): boolean =>
  toSingleLine(one.title) === toSingleLine(other.title) &&
  toSingleLine(one.venue ?? "") === toSingleLine(other.venue ?? "") &&
  one.category === other.category &&
  one.eventTime?.getTime() === other.eventTime?.getTime() &&
  (!one.eventTime || shownZone(one) === shownZone(other));
