import type { Listing } from "./ticket.ts";

/** What takes no place on a page: zero-width spaces, soft hyphens, byte-order marks. */
const UNSEEN = /[\u00AD\u200B\u2060\uFEFF]/g;

/**
 * A text as a reader sees it: one space for a run of them, as browsers show it, and one form of each
 * letter that can be written in two ways.
 */
export const asSeen = (text: string): string =>
  text.replace(UNSEEN, "").replace(/\s+/g, " ").trim().normalize("NFC");

/** Whether a buyer sees the same, apart from the price, whose changes have a version of their own. */
export const sameDetails = (one: Listing, other: Listing): boolean =>
  asSeen(one.title) === asSeen(other.title) &&
  asSeen(one.venue ?? "") === asSeen(other.venue ?? "") &&
  one.category === other.category &&
  one.eventTime?.getTime() === other.eventTime?.getTime();
