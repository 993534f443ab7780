import { once } from "node:events";
import { connect, type ClientHttp2Session } from "node:http2";
import {
  fromJson,
  ScalarType,
  toBinary,
  type DescField,
  type DescMessage,
  type DescService,
  type JsonObject,
} from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import type { TestServer } from "./server.ts";

// Malformed requests. Some are almost valid, so that they pass the first checks.

const nastyWords = [
  ...["", " ", "\u00a0", "\u0000", "\ud800", "é\u0301", "💥", "x".repeat(300), "y".repeat(5000)],
  ...["EUR", "JPY", "eur", "__proto__", "constructor", "$where", '"', "\\", "{}", "null", "-0"],
  ...["00000000-0000-0000-0000-000000000000", "W10", "WyJ4IiwwLCJ4Il0"],
];
const nastyNumbers = [
  ...[0n, 1n, -1n, 20n, 100n, 2n ** 31n - 1n, 2n ** 31n, -(2n ** 31n), 2n ** 32n, 2n ** 53n],
  ...[2n ** 63n - 1n, -(2n ** 63n), 10_000_000n, 990_000_000n, 253_402_300_800n, -62_135_596_801n],
];

const words = (known: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...known, "EUR", "A concert") },
    { weight: 2, arbitrary: fc.constantFrom(...nastyWords) },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 30 }) },
  );

/** A value of the field's type, in Protobuf's binary format. */
function field(desc: DescField, known: readonly string[], depth: number): fc.Arbitrary<Uint8Array> {
  const write = (fill: (writer: BinaryWriter) => unknown): Uint8Array => {
    const writer = new BinaryWriter();
    fill(writer);
    return writer.finish();
  };
  const number = fc.constantFrom(...nastyNumbers);
  if (desc.message) {
    return message(desc.message, known, depth + 1).map((bytes) =>
      write((to) => to.tag(desc.number, WireType.LengthDelimited).bytes(bytes)),
    );
  }
  if (desc.scalar === ScalarType.STRING || desc.scalar === ScalarType.BYTES) {
    return words(known).map((word) =>
      write((to) => to.tag(desc.number, WireType.LengthDelimited).string(word)),
    );
  }
  return number.map((value) => write((to) => to.tag(desc.number, WireType.Varint).int64(value)));
}

/** A message with some of its fields, in any order, some of them twice. */
function message(desc: DescMessage, known: readonly string[], depth = 0): fc.Arbitrary<Uint8Array> {
  if (depth > 3 || desc.fields.length === 0) return fc.uint8Array({ maxLength: 8 });
  const some = fc.oneof(...desc.fields.map((each) => field(each, known, depth)));
  const all = fc.tuple(...desc.fields.map((each) => field(each, known, depth)));
  return fc
    .oneof(all, fc.array(some, { maxLength: desc.fields.length + 2 }))
    .map((parts) => new Uint8Array(Buffer.concat(parts)));
}

/** Bytes of which a few are changed, removed or inserted. */
const damaged = (bytes: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> => {
  const damage = fc.record({ at: fc.nat(), with: fc.uint8Array({ maxLength: 3 }), cut: fc.nat(3) });
  const damages = fc.oneof(fc.constant([]), fc.array(damage, { maxLength: 3 }));
  return fc.tuple(bytes, damages).map(([whole, all]) =>
    all.reduce((rest, { at, with: added, cut }) => {
      const start = rest.length === 0 ? 0 : at % rest.length;
      return new Uint8Array(Buffer.concat([rest.slice(0, start), added, rest.slice(start + cut)]));
    }, whole),
  );
};

const rawNumbers = [
  "1e309",
  "-1e309",
  "0.5",
  "1E2",
  "-0",
  "99999999999999999999",
  '"1.0"',
  '"NaN"',
];
const oddities = ["null", "true", "[]", "{}", '""', "[[[[[[]]]]]]", "2030-01-01", ...rawNumbers];
const times = [
  "2030-01-01T00:00:00Z",
  "9999-12-31T23:59:59Z",
  "0001-01-01T00:00:00Z",
  "10000-01-01T00:00:00Z",
];

/** A value for a field as JSON, usually of the field's type. */
function jsonField(desc: DescField, known: readonly string[], depth: number): fc.Arbitrary<string> {
  const odd = fc.constantFrom(...oddities);
  const number = fc.oneof(
    fc.constantFrom(...nastyNumbers).map(String),
    fc.constantFrom(...nastyNumbers).map((value) => `"${value}"`),
  );
  const word = fc
    .oneof(words(known), fc.constantFrom(...times))
    .map((value) => JSON.stringify(value));
  const right = desc.message
    ? fc.oneof(json(desc.message, known, depth + 1), word)
    : desc.scalar === ScalarType.STRING
      ? word
      : number;
  return fc.oneof({ weight: 6, arbitrary: right }, { weight: 1, arbitrary: odd });
}

const jsonPair = (desc: DescField, known: readonly string[], depth: number): fc.Arbitrary<string> =>
  jsonField(desc, known, depth).map((value) => `${JSON.stringify(desc.jsonName)}:${value}`);

function json(desc: DescMessage, known: readonly string[], depth = 0): fc.Arbitrary<string> {
  if (depth > 3 || desc.fields.length === 0) return fc.constantFrom("{}", ...oddities);
  const pair = (each: DescField): fc.Arbitrary<string> => jsonPair(each, known, depth);
  const some = fc.array(fc.oneof(...desc.fields.map(pair)), { maxLength: desc.fields.length + 2 });
  return fc.oneof(fc.tuple(...desc.fields.map(pair)), some).map((pairs) => `{${pairs.join()}}`);
}

const deep = "[".repeat(10_000);
const damagedText = (text: fc.Arbitrary<string>): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    { weight: 8, arbitrary: text.map((whole) => new TextEncoder().encode(whole)) },
    { weight: 3, arbitrary: damaged(text.map((whole) => new TextEncoder().encode(whole))) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(deep, `{"a":${deep}`, "").map((t) => new TextEncoder().encode(t)),
    },
  );

/** The code of a response. */
const ANSWERED = 0;

/** A valid request in which up to three fields are repeated with other values. The last value counts. */
function nearlyGood(
  desc: DescMessage,
  good: JsonObject,
  known: readonly string[],
): { binary: fc.Arbitrary<Uint8Array>; text: fc.Arbitrary<string> } {
  const limit = { maxLength: 3 };
  const bytes = toBinary(desc, fromJson(desc, good));
  const pairs = Object.entries(good).map(
    ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
  );
  // A message without fields is sent unchanged.
  const some = <T>(kinds: fc.Arbitrary<T>[]): fc.Arbitrary<T[]> =>
    kinds.length > 0 ? fc.array(fc.oneof(...kinds), limit) : fc.constant([]);
  return {
    binary: some(desc.fields.map((each) => field(each, known, 0))).map(
      (parts) => new Uint8Array(Buffer.concat([bytes, ...parts])),
    ),
    text: some(desc.fields.map((each) => jsonPair(each, known, 0))).map(
      (others) => `{${[...pairs, ...others].join()}}`,
    ),
  };
}

const kinds = ["application/proto", "application/json", "application/grpc+proto"] as const;

function frame(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

const codeOf = (word: string): Code =>
  (Object.entries(Code).find(
    ([name]) => name.toLowerCase() === word.replaceAll("_", ""),
  )?.[1] as Code) ?? Code.Unknown;

async function send(
  session: ClientHttp2Session,
  path: string,
  kind: (typeof kinds)[number],
  body: Uint8Array,
  headers: Record<string, string>,
): Promise<Code | typeof ANSWERED> {
  const grpc = kind === "application/grpc+proto";
  const stream = session.request({
    ...{ ":method": "POST", ":path": path, "content-type": kind, ...headers },
    ...(grpc && { te: "trailers" }),
  });
  let status = 0;
  let code: string | undefined;
  stream.on("response", (answer) => {
    status = answer[":status"] ?? 0;
    code = answer["grpc-status"] as string | undefined;
  });
  stream.on("trailers", (trailer) => (code = trailer["grpc-status"] as string | undefined));
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.end(grpc ? frame(body) : body);
  await once(stream, "end");
  if (grpc) return Number(code ?? Code.Unknown) as Code;
  if (status === 200) return ANSWERED;
  const { code: word } = JSON.parse(Buffer.concat(chunks).toString() || "{}") as { code?: string };
  return codeOf(word ?? "unknown");
}

/**
 * Sends a number of malformed requests to each method of a service, in each of three formats, and returns
 * how often each method was answered. A response that reports an internal error makes it throw, with the
 * information that reproduces the request.
 */
export async function sendGarbage(
  server: TestServer,
  service: DescService,
  options: {
    headers: Record<string, string>;
    /** IDs of existing objects. */
    known: readonly string[];
    /** A valid request for each method. */
    good: Readonly<Record<string, JsonObject>>;
    runs: number;
    seed: number;
  },
): Promise<Map<string, number>> {
  const { headers, known, good, runs, seed } = options;
  const session = connect(server.url);
  session.on("error", () => undefined); // Each request reports it too.
  const answered = new Map<string, number>();
  try {
    for (const method of service.methods) {
      const nearly = nearlyGood(method.input, good[method.name] ?? {}, known);
      const binary = damaged(fc.oneof(message(method.input, known), nearly.binary));
      const text = damagedText(fc.oneof(json(method.input, known), nearly.text));
      for (const kind of kinds) {
        const bodies = fc.sample(kind === "application/json" ? text : binary, {
          numRuns: runs,
          seed,
        });
        const path = `/${service.typeName}/${method.name}`;
        while (bodies.length > 0) {
          const some = bodies.splice(0, 16);
          const codes = await Promise.all(
            some.map((body) => send(session, path, kind, body, headers)),
          );
          for (const [i, code] of codes.entries()) {
            if (code === Code.Internal || code === Code.Unknown) {
              const body = Buffer.from(some[i] ?? []).toString("base64");
              throw new Error(`${method.name} broke at ${kind}, base64 ${body}`);
            }
            if (code === ANSWERED) answered.set(method.name, (answered.get(method.name) ?? 0) + 1);
          }
        }
      }
    }
    return answered;
  } finally {
    session.destroy();
  }
}
