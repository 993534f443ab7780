import type { SeededRandom } from "../testing/seeded-random.ts";
import {
  hosts,
  methods,
  malformedBody,
  malformedHeaders,
  paths,
  types,
} from "./malformed-values.ts";

const line = (name: string, value: string): string => `${name}: ${value}\r\n`;

/** The headers that frame a body, and the body that is sent. */
const framings: ((body: Buffer) => [head: string, body: string])[] = [
  (body) => [line("content-length", `${body.length}`), body.toString("latin1")],
  (body) => [line("content-length", `${body.length + 9}`), body.toString("latin1")],
  () => [line("content-length", "1") + line("content-length", "2"), "xx"],
  () => [line("content-length", "-1"), "x"],
  () => [line("content-length", "1") + line("transfer-encoding", "chunked"), "0\r\n\r\n"],
  (body) => [
    line("transfer-encoding", "chunked"),
    `${body.length.toString(16)};a="\r\n${body.toString("latin1")}\r\n0\r\n\r\n`,
  ],
  () => [line("transfer-encoding", "chunked"), "zz\r\nx\r\n"],
  () => [line("transfer-encoding", "chunked"), "ffffffffffffffffff\r\nx"],
  () => [line("transfer-encoding", "chunked"), "5\r\nab\r\n0\r\n\r\n"],
  () => [line("transfer-encoding", "chunked"), "1\r\nx\r\n0\r\n:path: a\r\nHost: a:99999\r\n\r\n"],
  () => [line("transfer-encoding", "gzip, chunked"), "1\r\nx\r\n0\r\n\r\n"],
];

/** A malformed HTTP/1.1 request in pieces, sometimes with corrupted bytes. */
export function malformedHttp1(
  random: SeededRandom,
  known: readonly string[],
  more = "",
): Buffer[] {
  const odd = (times: number, list: readonly string[], usual: string): string =>
    random.oneIn(times) ? random.pick(list) : usual;
  const path = odd(2, paths, random.pick(known));
  const method = odd(4, methods, random.pick(["GET", "POST", "POST"]));
  const version = odd(9, ["HTTP/1.0", "HTTP/2.0", "HTTP/9.9", "HTTP", "http/1.1", ""], "HTTP/1.1");
  const host = line("Host", odd(2, hosts, "localhost"));
  const second = random.oneIn(6) ? line("Host", random.pick(hosts)) : "";
  const headers = malformedHeaders(random).map(([name, value]) => line(name, value));
  const hasBody = method !== "GET" || random.oneIn(4);
  const [framing, body] = hasBody ? random.pick(framings)(malformedBody(random)) : ["", ""];
  const type = hasBody ? line("content-type", random.pick(types)) : "";
  const start = `${method} ${path} ${version}\r\n`;
  const head = start + host + second + more + headers.join("") + type + framing + "\r\n";
  const whole = Buffer.from(head + body, "latin1");
  if (random.oneIn(12)) return [random.bytes(random.below(300))];
  const bytes = random.oneIn(6) ? random.corrupt(whole) : whole;
  const cut = random.below(bytes.length + 1);
  return random.oneIn(3) ? [bytes.subarray(0, cut), bytes.subarray(cut)] : [bytes];
}
