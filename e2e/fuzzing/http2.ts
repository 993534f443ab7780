import type { SeededRandom } from "../testing/seeded-random.ts";
import {
  hosts,
  methods,
  malformedBody,
  malformedHeaders,
  paths,
  schemes,
  types,
} from "./malformed-values.ts";

// Frames are written by hand, because a client library would reject most of them.

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const [DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS] = [0, 1, 2, 3, 4] as const;
const [PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION] = [5, 6, 7, 8, 9] as const;
const [END_STREAM, END_HEADERS] = [1, 4] as const;

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** An HPACK string literal without compression. */
function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

const block = (fields: readonly (readonly [string, string])[]): Buffer =>
  Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]));

/** The headers of a request. Some pseudo-headers are malformed, missing, repeated or out of order. */
function head(random: SeededRandom, known: readonly string[]): Buffer {
  const odd = (times: number, list: readonly string[], usual: string): string =>
    random.oneIn(times) ? random.pick(list) : usual;
  const pseudo: [string, string][] = [
    [":method", odd(6, methods, "POST")],
    [":scheme", odd(6, schemes, "http")],
    [":path", odd(4, paths, random.pick(known))],
    [":authority", odd(2, hosts, "localhost")],
  ];
  if (random.oneIn(8)) pseudo.splice(random.below(4), 1);
  if (random.oneIn(12)) pseudo.push([random.pick([":path", ":status", ":protocol", ":x"]), "/"]);
  const type = ["content-type", random.pick(types)] as const;
  const others = [type, ...malformedHeaders(random).slice(0, random.pick([0, 1, 1, 5]))];
  return block(random.oneIn(15) ? [...others, ...pseudo] : [...pseudo, ...others]);
}

/** The frames after the headers: an end, a reset, nothing, or frames that are not allowed there. */
function rest(random: SeededRandom, stream: number): Buffer[] {
  const body = malformedBody(random).subarray(0, 16_000);
  const int = (value: number): Buffer => Buffer.of(value >>> 24, value >>> 16, value >>> 8, value);
  const reset = frame(RST_STREAM, 0, stream, int(random.pick([0, 2, 8, 0xffffffff])));
  return random.pick<() => Buffer[]>([
    () => [frame(DATA, END_STREAM, stream, body)],
    () => [frame(DATA, END_STREAM, stream, body)],
    () => [frame(DATA, 0, stream, body)],
    () => [frame(DATA, 0, stream, body), reset],
    () => [reset],
    () => [
      frame(DATA, 0, stream, body),
      frame(HEADERS, 5, stream, block([["x-trailer", "\u00ff"]])),
    ],
    () => [frame(DATA, 8, stream, Buffer.of(255, 1))], // The padding exceeds the frame.
    () => [frame(WINDOW_UPDATE, 0, stream, int(random.pick([0, 1, 0x7fffffff])))],
    () => [frame(SETTINGS, 0, 0, Buffer.of(0, 4, 255, 255, 255, 255))],
    () => [frame(SETTINGS, 0, 0, Buffer.of(0, 3, 0, 0, 0, 0)), frame(PING, 0, 0, Buffer.alloc(8))],
    () => [frame(PRIORITY, 0, stream, Buffer.concat([int(stream), Buffer.of(0)]))],
    () => [frame(PUSH_PROMISE, END_HEADERS, stream, int(2))],
    () => [frame(GOAWAY, 0, 0, Buffer.concat([int(stream), int(1)]))],
    () => [frame(CONTINUATION, END_HEADERS, stream, Buffer.alloc(0))],
    () => [frame(random.below(256), random.below(256), stream, random.bytes(random.below(40)))],
  ])();
}

/** An HTTP/2 connection with up to four malformed requests, in pieces. */
export function malformedHttp2(random: SeededRandom, known: readonly string[]): Buffer[] {
  if (random.oneIn(15)) return [PREFACE, random.bytes(random.below(300))];
  const pieces: Buffer[] = [Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, Buffer.alloc(0))])];
  for (let i = 0; i <= random.below(4); i += 1) {
    const stream = random.oneIn(15) ? random.below(4) : 2 * i + 1;
    const fields = random.oneIn(15) ? random.corrupt(head(random, known)) : head(random, known);
    const flags = END_HEADERS | (random.oneIn(4) ? END_STREAM : 0);
    pieces.push(frame(HEADERS, random.oneIn(20) ? 0 : flags, stream, fields));
    pieces.push(...rest(random, stream));
  }
  return pieces;
}
