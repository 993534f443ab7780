import { invalid } from "../objects/errors.ts";

/** A parameter: a type, a list of allowed values, or a group of parameters. "!" means required. */
type Rule = Kind | `${Kind}!` | readonly string[] | { readonly [name: string]: Rule };
type Kind = keyof Kinds;

interface Kinds {
  string: string;
  integer: number;
  boolean: boolean;
  url: string;
  strings: string[];
  metadata: Record<string, string>;
  range: (value: number) => boolean;
}

/** The parameters of an endpoint. */
export type Schema = { readonly [name: string]: Rule };

type Value<R> = R extends `${infer K extends Kind}!`
  ? Kinds[K]
  : R extends Kind
    ? Kinds[R]
    : R extends readonly (infer Word)[]
      ? Word
      : Params<R>;

/** The parameters that a schema accepts. */
export type Params<S> = {
  [K in keyof S as S[K] extends `${string}!` ? K : never]: Value<S[K]>;
} & { [K in keyof S as S[K] extends `${string}!` ? never : K]?: Value<S[K]> };

/** A decoded form: strings, and groups of them. */
export type Form = { [name: string]: string | Form };

/** Parses a form as Stripe does: `a[b]=c` and `a[0]=c` are groups, and `a[]=c` appends to a group. */
export function parseForm(text: string): Form {
  const form: Form = Object.create(null);
  for (const [name, value] of new URLSearchParams(text)) {
    const path = name.replaceAll("]", "").split("[");
    const last = path.pop() ?? name;
    let group = form;
    for (const key of path) {
      const inner = group[key] ?? Object.create(null);
      if (typeof inner === "string") throw invalid("Invalid request: a parameter was sent twice.");
      group = group[key] = inner;
    }
    group[last === "" ? Object.keys(group).length : last] = value;
  }
  return form;
}

/** Checks a form against a schema, and converts its values to their types. */
export function check<S extends Schema>(schema: S, form: Form, within = ""): Params<S> {
  const full = (name: string) => (within ? `${within}[${name}]` : name);
  const unknown = Object.keys(form).find((name) => !Object.hasOwn(schema, name));
  if (unknown !== undefined) {
    const param = full(unknown);
    throw invalid(`Received unknown parameter: ${param}`, { code: "parameter_unknown", param });
  }
  const values: Record<string, unknown> = {};
  for (const [name, rule] of Object.entries(schema)) {
    const value = form[name];
    const param = full(name);
    if (value !== undefined) values[name] = convert(rule, value, param);
    else if (typeof rule === "string" && rule.endsWith("!")) {
      throw invalid(`Missing required param: ${param}.`, { code: "parameter_missing", param });
    }
  }
  return values as Params<S>;
}

function convert(rule: Rule, value: string | Form, param: string): unknown {
  if (typeof rule === "object" && !isWords(rule)) return check(rule, group(value, param), param);
  if (isWords(rule)) {
    const word = single(value, param);
    if (rule.includes(word)) return word;
    throw invalid(`Invalid ${param}: must be one of ${rule.join(", ")}`, { param });
  }
  return kinds[rule.replace("!", "") as Kind](value, param);
}

const kinds: { [K in Kind]: (value: string | Form, param: string) => Kinds[K] } = {
  string: single,
  integer(value, param) {
    const text = single(value, param);
    const number = Number(text);
    if (/^-?\d+$/.test(text) && Number.isSafeInteger(number)) return number;
    throw invalid(`Invalid integer: ${text}`, { code: "parameter_invalid_integer", param });
  },
  boolean(value, param) {
    const text = single(value, param);
    if (text === "true" || text === "false") return text === "true";
    throw invalid(`Invalid boolean: ${text}`, { param });
  },
  url(value, param) {
    const text = single(value, param);
    if (/^https?:$/.test(URL.parse(text)?.protocol ?? "")) return text;
    throw invalid("Not a valid URL", { code: "url_invalid", param });
  },
  strings(value, param) {
    return Object.values(group(value, param)).map((each) => single(each, param));
  },
  range(value, param) {
    if (typeof value === "string") {
      const exact = kinds.integer(value, param);
      return (each) => each === exact;
    }
    const bounds = check(
      { gt: "integer", gte: "integer", lt: "integer", lte: "integer" },
      value,
      param,
    );
    const { gt = -Infinity, gte = -Infinity, lt = Infinity, lte = Infinity } = bounds;
    return (each) => each > gt && each >= gte && each < lt && each <= lte;
  },
  metadata(value, param) {
    if (value === "") return {}; // An empty string removes all metadata.
    const pairs = Object.entries(group(value, param)).map(([key, each]) => {
      const text = typeof each === "string" ? each : single(each, `${param}[${key}]`);
      if (key.length > 40) throw invalid("Metadata keys can be up to 40 characters.", { param });
      if (text.length > 500) throw invalid("Metadata values can be up to 500.", { param });
      return [key, text] as const;
    });
    if (pairs.length > 50) throw invalid("You can have up to 50 metadata keys.", { param });
    return Object.fromEntries(pairs.filter(([, text]) => text !== ""));
  },
};

function single(value: string | Form, param: string): string {
  if (typeof value !== "string") throw invalid("Invalid string", { param });
  if (value !== "") return value;
  const message = `You passed an empty string for '${param}'. It cannot be unset: remove it from your request or supply a non-empty value.`;
  throw invalid(message, { code: "parameter_invalid_empty", param });
}

function group(value: string | Form, param: string): Form {
  if (typeof value === "string") throw invalid("Invalid object", { param });
  return value;
}

function isWords(rule: Rule): rule is readonly string[] {
  return Array.isArray(rule);
}
