import { expand, listParams, page } from "../requests/lists.ts";
import type { Tables } from "../objects/objects.ts";
import { check, type Form, type Params, type Schema } from "../requests/params.ts";
import type { Unit } from "../store/unit.ts";
import type { Webhooks } from "../store/webhooks.ts";

/** A call of an endpoint: its unit of work, the ID in its path, this Stripe's URL, and the webhooks. */
export interface Call {
  unit: Unit;
  id: string;
  base: string;
  webhooks: Webhooks | undefined;
}

/** The handler of a method and a path. */
export interface Route {
  method: string;
  path: RegExp;
  run: (call: Call, form: Form) => unknown;
}

/** An endpoint: checks the form, runs the handler, and expands the response as requested. */
export function route<const S extends Schema>(
  method: string,
  path: string,
  schema: S,
  work: (call: Call, params: Params<S>) => unknown,
): Route {
  return {
    method,
    path: new RegExp(`^${path.replace(":id", "([^/]+)")}$`),
    run(call, { expand: paths, ...form }) {
      const { expand: wanted = [] } = check({ expand: "strings" }, paths ? { expand: paths } : {});
      const done = work(call, check(schema, form));
      return wanted.reduce((thing, each) => expand(call.unit, thing, each), done);
    },
  };
}

/** The object that the path names. */
export const named =
  <K extends keyof Tables>(kind: K, param = "id") =>
  ({ unit, id }: Call): Tables[K] =>
    unit.find(kind, id, param, 404);

/** An endpoint that retrieves an object. */
export const one = (kind: keyof Tables, path: string, param?: string) =>
  route("GET", `${path}/:id`, {}, named(kind, param));

/** An endpoint that lists objects, filtered by the values of the given fields. */
export function many(kind: keyof Tables, path: string, fields: readonly string[] = []): Route {
  const filters = Object.fromEntries(fields.map((field) => [field, "string"] as const));
  return route("GET", path, { ...listParams, ...filters }, ({ unit }, params) => {
    const wanted = Object.entries(params).filter(([name]) => name in filters);
    return page(unit, kind, params, path, (thing) =>
      wanted.every(([name, value]) => Reflect.get(thing, name) === value),
    );
  });
}
