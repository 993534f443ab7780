import { invalid, noSuch } from "../objects/errors.ts";
import { kindOf, type Tables } from "../objects/objects.ts";
import type { Params } from "./params.ts";
import type { Unit } from "../store/unit.ts";

/** The parameters of every list. */
export const listParams = {
  created: "range",
  ending_before: "string",
  limit: "integer",
  starting_after: "string",
} as const;

/** A page of objects, newest first. */
export interface Page<T> {
  object: "list";
  data: T[];
  has_more: boolean;
  url: string;
}

/** One page of all objects of a type that pass the filter. */
export function page<K extends keyof Tables>(
  unit: Unit,
  kind: K,
  params: Params<typeof listParams>,
  url: string,
  wanted: (thing: Tables[K]) => boolean = () => true,
): Page<Tables[K]> {
  const things = unit.all(kind).filter(wanted);
  return pageOf(things, kind, params, url);
}

/** One page of the given objects, which are sorted oldest first. */
export function pageOf<T extends { id: string; created: number }>(
  things: T[],
  what: string,
  params: Params<typeof listParams>,
  url: string,
): Page<T> {
  const limit = params.limit ?? 10;
  if (limit < 1 || limit > 100) {
    const message = "Invalid limit: it must be between 1 and 100.";
    throw invalid(message, { code: "parameter_invalid_integer", param: "limit" });
  }
  const within = params.created ?? (() => true);
  const newest = things.filter((thing) => within(thing.created)).reverse();
  const { starting_after: after, ending_before: before } = params;
  const place = (id: string, param: string) => {
    const index = newest.findIndex((thing) => thing.id === id);
    if (index < 0) throw noSuch(what, id, param);
    return index;
  };
  if (before !== undefined) {
    const earlier = newest.slice(0, place(before, "ending_before"));
    return list(earlier.slice(-limit), earlier.length > limit, url);
  }
  const rest = after === undefined ? newest : newest.slice(place(after, "starting_after") + 1);
  return list(rest.slice(0, limit), rest.length > limit, url);
}

function list<T>(data: T[], has_more: boolean, url: string): Page<T> {
  return { object: "list", data, has_more, url };
}

/** The fields with the ID of an object, which `expand` replaces by the object. */
const references = new Set([
  "balance_transaction",
  "charge",
  "destination",
  "failure_balance_transaction",
  "latest_charge",
  "payment_intent",
  "payment_method",
  "source",
]);

/** The response with the objects in place of the IDs at `path` (a.b.c). */
export function expand(unit: Unit, thing: unknown, path: string): unknown {
  const [field = "", ...rest] = path.split(".");
  const fields = thing as Record<string, unknown>;
  const value = fields[field];
  if (Array.isArray(value)) {
    return { ...fields, [field]: value.map((each) => expand(unit, each, rest.join("."))) };
  }
  if (!references.has(field) || !(field in fields)) {
    throw invalid(`This property cannot be expanded (${path}).`, { param: "expand" });
  }
  if (typeof value !== "string") return thing;
  const found = unit.find(kindOf(value), value, "expand");
  return { ...fields, [field]: rest.length > 0 ? expand(unit, found, rest.join(".")) : found };
}
