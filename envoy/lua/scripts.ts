import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  getOption,
  hasOption,
  type DescField,
  type DescMessage,
  type DescMethod,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { http } from "@ticketing/proto/google/api/annotations";
import { services } from "#marketplace/catalogue.ts";
import { classOf, type CallClass } from "../config/rate-limits.ts";

// The paths and bodies of the contracts, as Lua tables for the edge's scripts.

/** A route to a method: over REST with its body, or as an RPC, whose body only the services parse. */
interface MethodRoute {
  readonly path: string;
  readonly verb: string;
  readonly class: CallClass;
  readonly body?: DescMessage;
}

function routesTo(method: DescMethod): MethodRoute[] {
  const path = `/${method.parent.typeName}/${method.name}`;
  const isRead = method.idempotency === Idempotency.NO_SIDE_EFFECTS;
  const shared = { class: classOf(method) };
  const rpc = ["POST", ...(isRead ? ["GET"] : [])].map((verb) => ({ path, verb, ...shared }));
  if (!hasOption(method, http)) return rpc;
  const { pattern, body } = getOption(method, http);
  if (pattern.case === undefined || pattern.case === "custom") return rpc;
  const verb = pattern.case.toUpperCase();
  const rest = { path: pattern.value, verb, ...shared };
  return [...rpc, { ...rest, ...(body === "*" && { body: method.input }) }];
}

/** The shapes of messages, by number: the fields that exist, and the shape number of the message in each. */
class MessageShapes {
  readonly #numbers = new Map<DescMessage, number>();
  readonly #tables: string[] = [];

  /** 0 for a value of any shape: scalars, maps, and types with a JSON format of their own. */
  numberOf(message: DescMessage | undefined): number {
    if (!message || message.typeName.startsWith("google.protobuf.")) return 0;
    const known = this.#numbers.get(message);
    if (known !== undefined) return known;
    const number = this.#numbers.size + 1;
    this.#numbers.set(message, number);
    const fields = message.fields.flatMap((field) =>
      [...new Set([field.jsonName, field.name])].map(
        (name) => `["${name}"]=${this.numberOf(messageIn(field))}`,
      ),
    );
    this.#tables[number] = `{${fields.join(",")}}`;
    return number;
  }

  toLua = (): string =>
    `local shapes = ${luaTable([...this.#tables.entries()].slice(1).map(([i, table]) => `[${i}]=${table}`))}`;
}

const luaTable = (entries: readonly string[]): string => `{${entries.join(",")}}`;

const messageIn = (field: DescField): DescMessage | undefined =>
  field.fieldKind === "map" ? undefined : field.message;

/** "/api/tickets/{id}" as a Lua pattern. */
const luaPattern = (path: string): string =>
  `^${path.replace(/[.-]/g, "%$&").replace(/\{\w+\}/g, "[^/]+")}$`;

/** A Lua function that returns the value of a path, or nil for any other path. */
function lookupFunction(
  name: string,
  values: readonly (readonly [path: string, value: string])[],
): string {
  const isVariable = ([path]: readonly [string, string]): boolean => path.includes("{");
  const fixed = values.filter((each) => !isVariable(each));
  const variable = values.filter(isVariable);
  return [
    `local fixed = ${luaTable(fixed.map(([path, value]) => `["${path}"]=${value}`))}`,
    `local variable = ${luaTable(variable.map(([path, value]) => `{"${luaPattern(path)}",${value}}`))}`,
    `local function ${name}(path)`,
    "  if fixed[path] then return fixed[path] end",
    "  for _, each in ipairs(variable) do if path:find(each[1]) then return each[2] end end",
    "end",
    "",
  ].join("\n");
}

const routesByPath = [
  ...Map.groupBy(
    services.flatMap(({ methods }) => methods.flatMap(routesTo)),
    ({ path }) => path,
  ),
];

/** `endpoint(path)`: the HTTP methods that a path allows, each with the class of its calls. */
function endpointLookup(): string {
  const rows = routesByPath.map(([path, routes]) => {
    const verbs = routes.map(({ verb }) => verb);
    const allow = verbs.flatMap((verb) => (verb === "GET" ? ["GET", "HEAD"] : [verb])).sort();
    const methods = luaTable(routes.map(({ verb, class: of }) => `${verb}="${of}"`));
    return [path, `{methods=${methods},allow="${allow.join(", ")}"}`] as const;
  });
  return lookupFunction("endpoint", rows);
}

/** `body_at(path)`: for each HTTP method, the number of its body's shape in `shapes`. */
function bodyLookup(): string {
  const shapes = new MessageShapes();
  const rows = routesByPath.flatMap(([path, routes]) => {
    const bodies = routes.flatMap(({ verb, body }) =>
      body ? [`${verb}=${shapes.numberOf(body)}`] : [],
    );
    return bodies.length > 0 ? [[path, luaTable(bodies)] as const] : [];
  });
  return `${shapes.toLua()}\n${lookupFunction("body_at", rows)}`;
}

/** A script without comments and indentation: Envoy's whole configuration is one short argument. */
const script = (file: string): string =>
  readFileSync(join(import.meta.dirname, file), "utf8")
    .replace(/^\s*--.*\n/gm, "")
    .replace(/^ +/gm, "");

/** The edge's scripts, each with its tables of the contracts above it. */
export const requestsLua = (): string => endpointLookup() + script("requests.lua");
export const bodiesLua = (): string => bodyLookup() + script("bodies.lua");
