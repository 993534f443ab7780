import { createHash } from "node:crypto";
import { invalidField } from "../errors.ts";

const DEFAULT_SIZE = 20;
const LARGEST_SIZE = 100;

/** The size of a page: the default if none is requested, and at most the maximum. */
export const pageSize = (asked: number): number =>
  asked === 0 ? DEFAULT_SIZE : Math.min(asked, LARGEST_SIZE);

/** The position of a page's last item: its sort key (0 if only the ID orders the items) and its ID. */
export interface Cursor {
  key: number;
  id: string;
}

/** The latest valid date, in milliseconds. No price and no date exceeds it. */
const GREATEST_KEY = 8.64e15;

const isKey = (key: unknown): key is number =>
  Number.isSafeInteger(key) && Math.abs(key as number) <= GREATEST_KEY;

const fingerprint = (query: unknown): string =>
  createHash("sha256").update(JSON.stringify(query)).digest("base64url").slice(0, 12);

/** An opaque token for the page of this query after `cursor`. */
export const pageToken = (query: unknown, { key, id }: Cursor): string =>
  Buffer.from(JSON.stringify([fingerprint(query), key, id])).toString("base64url");

/**
 * Parses a page token. A token of another query, or an invalid one, is a wrong field. Clients can forge
 * tokens, so the types of its values are checked.
 */
export function readPageToken(query: unknown, token: string): Cursor | undefined {
  if (token === "") return undefined;
  try {
    const [print, key, id] = JSON.parse(Buffer.from(token, "base64url").toString()) as unknown[];
    if (print === fingerprint(query) && isKey(key) && typeof id === "string") return { key, id };
  } catch {
    // Falls through: an invalid token and a token of another query get the same response.
  }
  throw invalidField("page_token", "is not a token of this query");
}

/** The comparisons, each with the one that holds where it does not. */
const opposite = { $gt: "$lte", $gte: "$lt", $lt: "$gte", $lte: "$gt" } as const;

/**
 * The items of which this comparison with a position holds. The first condition is where an index begins or
 * ends. The second one leaves out equal keys on the other side; as a negation, it is no reason for another
 * plan.
 */
function bound(field: string, side: keyof typeof opposite, key: number | Date, id: string): object {
  if (field === "_id") return { _id: { [side]: id } };
  const range = side.startsWith("$gt") ? "$gte" : "$lte";
  return { [field]: { [range]: key }, $nor: [{ [field]: key, _id: { [opposite[side]]: id } }] };
}

/**
 * A filter for the items after a cursor, ordered by a field and then by ID. `key` is the cursor's key in the
 * type of that field; if the field is the ID itself, it has no meaning.
 */
export const afterCursor = (field: string, direction: 1 | -1, key: number | Date, id: string) =>
  bound(field, direction === 1 ? "$gt" : "$lt", key, id);

/** The same for the items up to the one of the cursor, which is included. */
export const upToCursor = (field: string, direction: 1 | -1, key: number | Date, id: string) =>
  bound(field, direction === 1 ? "$lte" : "$gte", key, id);

/**
 * Builds a page and the token of the next one from a query for one item more than the page size. The token
 * is empty if there is no next page. `keyOf` returns the sort key that precedes the ID.
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
