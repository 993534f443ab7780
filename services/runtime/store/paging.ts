import { createHash } from "node:crypto";
import { invalidField } from "../errors.ts";

const DEFAULT_SIZE = 20;
const LARGEST_SIZE = 100;

/** How many a page holds: the default where nothing is asked, and never more than the largest. */
export const pageSize = (asked: number): number =>
  asked === 0 ? DEFAULT_SIZE : Math.min(asked, LARGEST_SIZE);

/** Where a page ended: the sort key (0 where the id alone is it) and the id of its last item. */
export interface Cursor {
  key: number;
  id: string;
}

/** The latest date that there is, in milliseconds: no price and no date lies beyond. */
const GREATEST_KEY = 8.64e15;

const isKey = (key: unknown): key is number =>
  Number.isSafeInteger(key) && Math.abs(key as number) <= GREATEST_KEY;

const fingerprint = (query: unknown): string =>
  createHash("sha256").update(JSON.stringify(query)).digest("base64url").slice(0, 12);

/** An opaque token for the page after `cursor` of this query. */
export const pageToken = (query: unknown, { key, id }: Cursor): string =>
  Buffer.from(JSON.stringify([fingerprint(query), key, id])).toString("base64url");

/**
 * Reads a token again; one of another query, or not ours, is a wrong field. Whoever knows this code
 * can write tokens of their own, so nothing in them is trusted to be of its kind.
 */
export function readPageToken(query: unknown, token: string): Cursor | undefined {
  if (token === "") return undefined;
  try {
    const [print, key, id] = JSON.parse(Buffer.from(token, "base64url").toString()) as unknown[];
    if (print === fingerprint(query) && isKey(key) && typeof id === "string") return { key, id };
  } catch {
    // Falls through: garbage and a token of another query get the same answer.
  }
  throw invalidField("page_token", "is not a token of this query");
}

/**
 * A filter for what lies beyond a cursor, in the order of a field and then of ids. `key` is the cursor's
 * key as the field has it.
 */
export function afterCursor(field: string, direction: 1 | -1, key: number | Date, id: string) {
  const further = direction === 1 ? "$gt" : "$lt";
  return { $or: [{ [field]: { [further]: key } }, { [field]: key, _id: { [further]: id } }] };
}

/**
 * The page itself, of what was found where one more than its size was looked for, and the token of the
 * next one; empty where there is none. `keyOf` answers the key by which it is sorted before the id.
 */
export function toPage<T extends { _id: string }>(
  query: unknown,
  size: number,
  found: readonly T[],
  keyOf: (item: T) => number = () => 0,
): { page: T[]; nextPageToken: string } {
  const page = found.slice(0, size);
  const last = found.length > size ? page.at(-1) : undefined;
  return { page, nextPageToken: last ? pageToken(query, { key: keyOf(last), id: last._id }) : "" };
}
