import { toSingleLine } from "#runtime/values/text.ts";
import { resolvedZone } from "./event-time.ts";
import type { Listing } from "../ticket.ts";

/** The time zone that pages show the event time in, under its canonical name. */
const shownZone = ({ timeZone = "UTC" }: Listing): string => resolvedZone(timeZone) ?? timeZone;

/** Whether a buyer sees the same details. The price has a version of its own. */
export const sameDetails = (one: Listing, other: Listing): boolean =>
  toSingleLine(one.title) === toSingleLine(other.title) &&
  toSingleLine(one.venue ?? "") === toSingleLine(other.venue ?? "") &&
  one.category === other.category &&
  one.eventTime?.getTime() === other.eventTime?.getTime() &&
  (!one.eventTime || shownZone(one) === shownZone(other));
