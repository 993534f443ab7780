import type { SeededRandom } from "../testing/seeded-random.ts";

// Values that are almost valid, or invalid in a way that has broken other parsers.

export const hosts = [
  ...["a:99999", "a:b", "[", "[::1", "[::1]]", "%", "%zz:1", ":80", "a:-1", "", " ", "::", "a b"],
  ...["a,b", "user:pass@a", "a/../b", "a?b", "a#b", "\\", "\u00ff", "x".repeat(5_000), "127.1:1e3"],
  ...["localhost", "__proto__", "xn--", "a..b", "\u007f", "0x7f.1", "a\tb", "http://a", "[::1%25]"],
];

export const paths = [
  ...["/", "//", "//[::1", "//a:99999/", "/%", "/%zz", "/%00", "/%ff%fe", "/..", "/../../etc", "*"],
  ...["", "?", "#", "/?", "/?%", "/?a=%zz&a[__proto__]=1", "/;", "/\\..\\", "http://", "http://["],
  ...[
    "http://a:99999/",
    "https://%/",
    "a:99999",
    "/a b",
    "/\u00ff",
    `/${"x".repeat(9_000)}`,
    "/%2e",
  ],
  ...[
    "/__proto__",
    "/constructor",
    "/%F0%9F%92%A5",
    "///",
    "/.",
    "/?=&&&==",
    `/?${"a&".repeat(900)}`,
  ],
];

export const methods = [
  ...["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "CONNECT", "PRI", "get"],
  ...["", "G ET", "__proto__", "\u00ff", "M-SEARCH", "QUERY", "x".repeat(300)],
];

export const schemes = ["http", "https", "", "javascript", "a:b", "//", "%", "\u00ff", "grpc"];

export const types = [
  ...["application/json", "application/proto", "application/grpc", "application/grpc+proto"],
  ...["application/grpc-web+proto", "application/connect+json", "application/connect+proto"],
  ...["application/x-www-form-urlencoded", "multipart/form-data; boundary=", "text/plain;;;"],
  ...["application/json; charset=utf-99", "/", ";", "\u00ff", "application/grpc-web-text+proto"],
];

const names = [
  ...["host", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for", "x-forwarded-port"],
  ...["forwarded", "origin", "referer", "cookie", "authorization", "traceparent", "x-request-id"],
  ...["accept-language", "accept-encoding", "accept", "user-agent", "content-encoding", "range"],
  ...["content-length", "content-type", "transfer-encoding", "connection", "upgrade", "expect"],
  ...["te", "trailer", "keep-alive", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding"],
  ...["connect-timeout-ms", "connect-protocol-version", "connect-content-encoding", "x-bin"],
  ...["grpc-trace-bin", "if-none-match", "if-modified-since", "stripe-signature", "stripe-version"],
  ...["idempotency-key", "__proto__", "constructor", "a b", "", "\u00ff", ":path", "x".repeat(900)],
];

const values = [
  ...[
    "",
    " ",
    "0",
    "-1",
    "1e9",
    "NaN",
    "99999999999999999999",
    "1S",
    "9".repeat(40),
    "\u00ff\u00fe",
  ],
  ...["%", "%zz", "=", ";", ",", ";;=;", "a=%E0%A4%A; a=b", "__proto__=1", "__Host-session=\u0080"],
  ...["access=x.y.z; refresh=%", "time-zone=%zz", "time-zone=../../etc", "Bearer ", "Bearer a.b.c"],
  ...[
    "Bearer eyJhbGciOiJub25lIn0.e30.",
    "Basic ====",
    "Basic \u00ff",
    "gzip, br, zstd",
    "identity",
  ],
  ...["chunked", "chunked, chunked", "close", "upgrade, http2-settings", "h2c", "websocket"],
  ...[
    "100-continue",
    "trailers",
    "http",
    "https",
    "javascript",
    "a b",
    "en-\u00ff, *;q=9, x-",
    "*",
  ],
  ...["00-00000000000000000000000000000000-0000000000000000-00", "bytes=9-1,-", "t=1,v1=", "null"],
  ...[
    "____",
    "AAAA=",
    "1.2.3.4, [::1, x",
    'for=";host=[',
    "\u0000",
    "a\nb",
    "\r\n\r\n",
    "v".repeat(7_000),
  ],
];

/** Headers that the services read, with unexpected values. */
export const malformedHeaders = (random: SeededRandom): [string, string][] =>
  random.someOf(names, 5).map((name) => {
    const authority = /host|origin|referer/.test(name) && !random.oneIn(3);
    return [name, random.pick(authority ? hosts : values)];
  });

const bodies = [
  ...["", "{", "{}", "[]", "null", '"', '{"__proto__":{}}', "[".repeat(5_000), '{"id":"\\ud800"}'],
  ...[
    "a=%zz&=&[]=1&a[__proto__][x]=1",
    "\u0000\u0000\u0000\u0000\u0000",
    "\u0001\u00ff\u00ff\u00ff\u00ff",
  ],
  ...[
    "\u0000\u0000\u0000\u0000\u0009x",
    "\u0080\u0000\u0000\u0000\u0001x",
    "\n\u00ff",
    "x".repeat(70_000),
  ],
];

export const malformedBody = (random: SeededRandom): Buffer =>
  random.oneIn(5) ? random.bytes(random.below(200)) : Buffer.from(random.pick(bodies), "latin1");
