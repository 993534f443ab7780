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

// What the contracts say of paths and bodies, as tables of Lua for the edge's scripts.

/** A way to call a method: over REST with its body, or as an RPC, whose body is the services' to read. */
interface Way {
  readonly path: string;
  readonly verb: string;
  readonly body?: DescMessage;
}

function waysTo(method: DescMethod): Way[] {
  const path = `/${method.parent.typeName}/${method.name}`;
  const isRead = method.idempotency === Idempotency.NO_SIDE_EFFECTS;
  const rpc = ["POST", ...(isRead ? ["GET"] : [])].map((verb) => ({ path, verb }));
  if (!hasOption(method, http)) return rpc;
  const { pattern, body } = getOption(method, http);
  if (pattern.case === undefined || pattern.case === "custom") return rpc;
  const verb = pattern.case.toUpperCase();
  return [...rpc, { path: pattern.value, verb, ...(body === "*" && { body: method.input }) }];
}

/** The shapes of messages, by number: whether a field is there, and the number of the message in it. */
class Shapes {
  readonly #numbers = new Map<DescMessage, number>();
  readonly #tables: string[] = [];

  /** 0 for what may be anything: numbers and words, maps, and what Protobuf's JSON writes in its own way. */
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
    `local shapes = ${listed([...this.#tables.entries()].slice(1).map(([i, table]) => `[${i}]=${table}`))}`;
}

const listed = (entries: readonly string[]): string => `{${entries.join(",")}}`;

const messageIn = (field: DescField): DescMessage | undefined =>
  field.fieldKind === "map" ? undefined : field.message;

/** "/api/tickets/{id}" as a pattern of Lua's. */
const patternOf = (path: string): string =>
  `^${path.replace(/[.-]/g, "%$&").replace(/\{\w+\}/g, "[^/]+")}$`;

/** A function of Lua's from a path to what stands for it here; nothing for any other path. */
function lookUp(name: string, places: readonly (readonly [path: string, value: string])[]): string {
  const isVariable = ([path]: readonly [string, string]): boolean => path.includes("{");
  const fixed = places.filter((each) => !isVariable(each));
  const variable = places.filter(isVariable);
  return [
    `local fixed = ${listed(fixed.map(([path, value]) => `["${path}"]=${value}`))}`,
    `local variable = ${listed(variable.map(([path, value]) => `{"${patternOf(path)}",${value}}`))}`,
    `local function ${name}(path)`,
    "  if fixed[path] then return fixed[path] end",
    "  for _, each in ipairs(variable) do if path:find(each[1]) then return each[2] end end",
    "end",
    "",
  ].join("\n");
}

const places = [
  ...Map.groupBy(
    services.flatMap(({ methods }) => methods.flatMap(waysTo)),
    ({ path }) => path,
  ),
];

/** `endpoint(path)`: by which methods of HTTP it may be asked. */
function endpoints(): string {
  const rows = places.map(([path, ways]) => {
    const verbs = ways.map(({ verb }) => verb);
    const allow = verbs.flatMap((verb) => (verb === "GET" ? ["GET", "HEAD"] : [verb])).sort();
    const methods = listed(verbs.map((verb) => `${verb}=true`));
    return [path, `{methods=${methods},allow="${allow.join(", ")}"}`] as const;
  });
  return lookUp("endpoint", rows);
}

/** `body_at(path)`: by method of HTTP, the number of its body's shape in `shapes`. */
function bodies(): string {
  const shapes = new Shapes();
  const rows = places.flatMap(([path, ways]) => {
    const bodies = ways.flatMap(({ verb, body }) =>
      body ? [`${verb}=${shapes.numberOf(body)}`] : [],
    );
    return bodies.length > 0 ? [[path, listed(bodies)] as const] : [];
  });
  const found = lookUp("body_at", rows);
  return `${shapes.toLua()}\n${found}`;
}

const script = (file: string): string => readFileSync(join(import.meta.dirname, file), "utf8");

/** The edge's scripts, with what they need of the contracts above them. */
export const requestsLua = (): string => endpoints() + script("requests.lua");
export const bodiesLua = (): string => bodies() + script("bodies.lua");
