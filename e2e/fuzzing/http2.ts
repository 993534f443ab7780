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

// Frames by hand: a client's library would refuse to send most of what is sent here.

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

/** A string of HPACK, not compressed. */
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

/** The head of a request; some pseudo-headers are odd, missing, sent twice, or sent too late. */
function head(chance: SeededRandom, known: readonly string[]): Buffer {
  const odd = (times: number, list: readonly string[], usual: string): string =>
    chance.oneIn(times) ? chance.pick(list) : usual;
  const pseudo: [string, string][] = [
    [":method", odd(6, methods, "POST")],
    [":scheme", odd(6, schemes, "http")],
    [":path", odd(4, paths, chance.pick(known))],
    [":authority", odd(2, hosts, "localhost")],
  ];
  if (chance.oneIn(8)) pseudo.splice(chance.below(4), 1);
  if (chance.oneIn(12)) pseudo.push([chance.pick([":path", ":status", ":protocol", ":x"]), "/"]);
  const type = ["content-type", chance.pick(types)] as const;
  const others = [type, ...malformedHeaders(chance).slice(0, chance.pick([0, 1, 1, 5]))];
  return block(chance.oneIn(15) ? [...others, ...pseudo] : [...pseudo, ...others]);
}

/** What may come after the head: an end, a reset, nothing, or what has no place there. */
function rest(chance: SeededRandom, stream: number): Buffer[] {
  const body = malformedBody(chance).subarray(0, 16_000);
  const int = (value: number): Buffer => Buffer.of(value >>> 24, value >>> 16, value >>> 8, value);
  const reset = frame(RST_STREAM, 0, stream, int(chance.pick([0, 2, 8, 0xffffffff])));
  return chance.pick<() => Buffer[]>([
    () => [frame(DATA, END_STREAM, stream, body)],
    () => [frame(DATA, END_STREAM, stream, body)],
    () => [frame(DATA, 0, stream, body)],
    () => [frame(DATA, 0, stream, body), reset],
    () => [reset],
    () => [
      frame(DATA, 0, stream, body),
      frame(HEADERS, 5, stream, block([["x-trailer", "\u00ff"]])),
    ],
    () => [frame(DATA, 8, stream, Buffer.of(255, 1))], // More padding than there is.
    () => [frame(WINDOW_UPDATE, 0, stream, int(chance.pick([0, 1, 0x7fffffff])))],
    () => [frame(SETTINGS, 0, 0, Buffer.of(0, 4, 255, 255, 255, 255))],
    () => [frame(SETTINGS, 0, 0, Buffer.of(0, 3, 0, 0, 0, 0)), frame(PING, 0, 0, Buffer.alloc(8))],
    () => [frame(PRIORITY, 0, stream, Buffer.concat([int(stream), Buffer.of(0)]))],
    () => [frame(PUSH_PROMISE, END_HEADERS, stream, int(2))],
    () => [frame(GOAWAY, 0, 0, Buffer.concat([int(stream), int(1)]))],
    () => [frame(CONTINUATION, END_HEADERS, stream, Buffer.alloc(0))],
    () => [frame(chance.below(256), chance.below(256), stream, chance.bytes(chance.below(40)))],
  ])();
}

/** A connection of HTTP/2 with up to four odd requests, in pieces. */
export function malformedHttp2(chance: SeededRandom, known: readonly string[]): Buffer[] {
  if (chance.oneIn(15)) return [PREFACE, chance.bytes(chance.below(300))];
  const pieces: Buffer[] = [Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, Buffer.alloc(0))])];
  for (let i = 0; i <= chance.below(4); i += 1) {
    const stream = chance.oneIn(15) ? chance.below(4) : 2 * i + 1;
    const fields = chance.oneIn(15) ? chance.corrupt(head(chance, known)) : head(chance, known);
    const flags = END_HEADERS | (chance.oneIn(4) ? END_STREAM : 0);
    pieces.push(frame(HEADERS, chance.oneIn(20) ? 0 : flags, stream, fields));
    pieces.push(...rest(chance, stream));
  }
  return pieces;
}
