import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { connect as connectSocket } from "node:net";
import { gunzipSync } from "node:zlib";
import { create, createFileRegistry, fromBinary, setExtension, toBinary } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_wrappers,
  MethodOptions_IdempotencyLevel as Idempotency,
  MethodOptionsSchema,
  StringValueSchema,
  type StringValue,
} from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { access, Access } from "@ticketing/proto/options/v1/options";
import { describe, expect, it, onTestFinished } from "vitest";
import { testServer } from "../../testing/server.ts";
import { immutable } from "./encoding.ts";

const handled: string[] = [];
const unchanging = immutable(create(StringValueSchema, { value: "first" }));
const large = immutable(create(StringValueSchema, { value: "x".repeat(2_000) }));

const methods: Record<string, (request: StringValue, ctx: HandlerContext) => StringValue> = {
  Grow: ({ value }) => create(StringValueSchema, { value: value.repeat(1_000) }),
  Record: (request) => {
    handled.push(request.value);
    return request;
  },
  Same: () => unchanging,
  SameLarge: () => large,
  Decorated: ({ value }, { responseHeader, responseTrailer }) => {
    responseHeader.append("set-cookie", "a=1");
    responseHeader.append("set-cookie", "b=2");
    responseTrailer.set("trailing", "yes");
    if (value === "fail") throw new ConnectError("refused", Code.Aborted, { why: "test" });
    return create(StringValueSchema, { value });
  },
};

const options = create(MethodOptionsSchema, { idempotencyLevel: Idempotency.NO_SIDE_EFFECTS });
setExtension(options, access, Access.ANYONE);
const type = {
  inputType: ".google.protobuf.StringValue",
  outputType: ".google.protobuf.StringValue",
};
const file = create(FileDescriptorProtoSchema, {
  name: "test/lean.proto",
  package: "test",
  syntax: "proto3",
  dependency: ["google/protobuf/wrappers.proto"],
  service: [
    {
      name: "LeanService",
      method: Object.keys(methods).map((name) => ({ name, ...type, options })),
    },
  ],
});
const service = createFileRegistry(file, (name) =>
  name === "google/protobuf/wrappers.proto" ? file_google_protobuf_wrappers : undefined,
).getService("test.LeanService")!;
const implementation = Object.fromEntries(
  service.methods.map(({ name, localName }) => [localName, methods[name]]),
);
const server = await testServer((router) => router.service(service, implementation as never));

interface Answer {
  header: IncomingHttpHeaders;
  trailer: IncomingHttpHeaders;
  body: Buffer;
}

async function call(
  method: string,
  headers: OutgoingHttpHeaders,
  body: Uint8Array | string = "",
): Promise<Answer> {
  const session = connect(server.url);
  onTestFinished(() => session.destroy());
  const isGet = headers[":method"] === "GET";
  const path = `/test.LeanService/${method}`;
  const stream = session.request(
    { ":method": "POST", ":path": path, ...headers },
    { endStream: isGet },
  );
  const answer: Answer = { header: {}, trailer: {}, body: Buffer.alloc(0) };
  stream.on("response", (header) => (answer.header = header));
  stream.on("trailers", (trailer) => (answer.trailer = trailer));
  stream.on("data", (chunk: Buffer) => (answer.body = Buffer.concat([answer.body, chunk])));
  if (!isGet) stream.end(body);
  await new Promise((resolve, reject) => stream.once("close", resolve).once("error", reject));
  return answer;
}

const json = { "content-type": "application/json" };
const proto = { "content-type": "application/proto" };
const grpc = { "content-type": "application/grpc", te: "trailers" };
const grpcWeb = { "content-type": "application/grpc-web+proto" };
const gzip = { "accept-encoding": "gzip", "grpc-accept-encoding": "gzip" };

const encode = (value: string): Uint8Array =>
  toBinary(StringValueSchema, create(StringValueSchema, { value }));
function frame(value: string): Buffer {
  const bytes = encode(value);
  const header = Buffer.alloc(5);
  header.writeUInt32BE(bytes.byteLength, 1);
  return Buffer.concat([header, bytes]);
}
const decode = (bytes: Uint8Array): string => fromBinary(StringValueSchema, bytes).value;

describe("a unary call", () => {
  it.each([
    ["Connect in JSON", json, '"x"', "application/json"],
    ["Connect in binary", proto, encode("x"), "application/proto"],
    ["gRPC", grpc, frame("x"), "application/grpc+proto"],
    ["gRPC-Web", grpcWeb, frame("x"), "application/grpc-web+proto"],
  ])("is answered uncompressed over %s: the edge compresses", async (_, headers, body, told) => {
    const { header, body: answer } = await call("Grow", { ...headers, ...gzip }, body);
    expect(header).toMatchObject({ ":status": 200, "content-type": told });
    expect(header["content-encoding"] ?? header["grpc-encoding"]).toBeUndefined();
    expect(answer.toString()).toContain("x".repeat(1_000));
  });

  it.each([
    ["in JSON", `?connect=v1&encoding=json&message=${encodeURIComponent('"get"')}`, '"get'],
    [
      "in base64",
      `?encoding=proto&base64=1&message=${Buffer.from(encode("get")).toString("base64url")}`,
      "get",
    ],
  ])("is answered over a Connect GET %s", async (_, query, text) => {
    const answer = await call(`Grow${query}`, { ":method": "GET" });
    expect(answer.header[":status"]).toBe(200);
    expect(answer.body.toString()).toContain(text);
  });

  it("is left to the library if only it knows the encoding", async () => {
    const get = await call("Grow?encoding=json&compression=br&message=x", { ":method": "GET" });
    expect(get.header[":status"]).toBe(400);
    const unknown = await call("Grow", { ...json, "content-encoding": "zip" }, '"x"');
    expect(JSON.parse(unknown.body.toString())).toMatchObject({ code: "unimplemented" });
  });

  it("sends a handler's headers, trailers and cookies in every protocol", async () => {
    const cookies = ["a=1", "b=2"];
    const connected = await call("Decorated", json, '"x"');
    expect(connected.header).toMatchObject({ "set-cookie": cookies, "trailer-trailing": "yes" });
    const called = await call("Decorated", grpc, frame("x"));
    expect(called.header["set-cookie"]).toEqual(cookies);
    expect(called.trailer).toMatchObject({ "grpc-status": "0", trailing: "yes" });
    const web = await call("Decorated", grpcWeb, frame("x"));
    expect(web.header["set-cookie"]).toEqual(cookies);
    expect(web.body.toString()).toMatch(/grpc-status: 0\r\ntrailing: yes\r\n/);
  });

  it("sends an error with its metadata beside what the handler added", async () => {
    const connected = await call("Decorated", json, '"fail"');
    expect(connected.header).toMatchObject({
      ":status": 409,
      why: "test",
      "set-cookie": ["a=1", "b=2"],
    });
    expect(JSON.parse(connected.body.toString())).toEqual({ code: "aborted", message: "refused" });
    const called = await call("Decorated", grpc, frame("fail"));
    expect(called.trailer).toMatchObject({ "grpc-status": "10", why: "test", trailing: "yes" });
    const web = await call("Decorated", grpcWeb, frame("fail"));
    expect(web.body.toString()).toContain("grpc-status: 10\r\n");
  });

  it.each([
    ["no frame", Buffer.alloc(0)],
    ["half a frame", frame("x").subarray(0, 6)],
    ["two frames", Buffer.concat([frame("x"), frame("y")])],
    ["a frame of nonsense", Buffer.from([0, 0, 0, 0, 1, 255])],
  ])("of gRPC with %s is the client's error", async (_, body) => {
    const { trailer } = await call("Grow", grpc, body);
    expect([Code.InvalidArgument, Code.Unimplemented]).toContain(Number(trailer["grpc-status"]));
  });
});

/** An HTTP/2 frame, for what Node's client never sends: it ends a request before it resets the stream. */
function http2Frame(kind: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.byteLength, 0, 3);
  header.writeUInt8(kind, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}
const literal = (name: string, value: string): Buffer =>
  Buffer.from(
    `\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`,
  );

it("does not handle a request that its client breaks off", async () => {
  const socket = connectSocket(server.port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, END_HEADERS] = [0, 1, 3, 4, 6, 4] as const;
  /** Resolves when the server has processed what was sent: it answers a ping after it. */
  async function processed(): Promise<void> {
    const token = randomBytes(8);
    socket.write(http2Frame(PING, 0, 0, token));
    let received = Buffer.alloc(0);
    while (!received.includes(token)) {
      const [chunk] = (await once(socket, "data")) as [Buffer];
      received = Buffer.concat([received, chunk]);
    }
  }
  const headers = Buffer.concat([
    literal(":method", "POST"),
    literal(":scheme", "http"),
    literal(":authority", "edge"),
    literal(":path", "/test.LeanService/Record"),
    literal("content-type", "application/proto"),
  ]);
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  socket.write(http2Frame(SETTINGS, 0, 0, Buffer.alloc(0)));
  socket.write(http2Frame(HEADERS, END_HEADERS, 1, headers));
  // The first bytes of a message with two fields are a message too.
  socket.write(http2Frame(DATA, 0, 1, encode("half")));
  await processed();
  socket.write(http2Frame(RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8])));
  await processed();
  await call("Record", proto, encode("whole"));
  expect(handled).toEqual(["whole"]);
});

it("a unary call that the library answers is not compressed either: the edge compresses", async () => {
  const unusual = { "content-type": "application/json; charset=utf-8" };
  const { header, body } = await call(
    "Grow",
    { ...unusual, "accept-encoding": "br, gzip" },
    '"xyz"',
  );
  expect(header).toMatchObject({ ":status": 200 });
  expect(header["content-encoding"]).toBeUndefined();
  expect(body.toString()).toContain("xyz".repeat(1_000));
});

describe("a message that a handler declares immutable", () => {
  it("is encoded once for each codec, and sent in every protocol", async () => {
    const binary = await call("Same", proto);
    unchanging.value = "second"; // Against the declaration: nobody reads the message again.
    expect(decode(binary.body)).toBe("first");
    expect(decode((await call("Same", proto)).body)).toBe("first");
    expect(decode((await call("Same", grpc, frame(""))).body.subarray(5))).toBe("first");
    expect((await call("Same", json, '""')).body.toString()).toBe('"second"');
    unchanging.value = "third";
    expect((await call("Same", json, '""')).body.toString()).toBe('"second"');
  });

  it("is compressed once for clients of Connect that accept gzip, if it is large", async () => {
    for (const [headers, body] of [
      [json, '""'],
      [proto, ""],
    ] as const) {
      const compressed = await call("SameLarge", { ...headers, ...gzip }, body);
      expect(compressed.header).toMatchObject({
        "content-encoding": "gzip",
        vary: "accept-encoding",
        "content-length": String(compressed.body.byteLength),
      });
      const plain = await call("SameLarge", headers, body);
      expect(plain.header["content-encoding"]).toBeUndefined();
      expect(gunzipSync(compressed.body)).toEqual(plain.body);
      expect(plain.body.toString()).toContain(large.value);
    }
    const small = await call("Same", { ...json, ...gzip }, '""');
    expect(small.header["content-encoding"]).toBeUndefined();
    const framed = await call("SameLarge", { ...grpc, ...gzip }, frame(""));
    expect(decode(framed.body.subarray(5))).toBe(large.value);
  });

  it.each(["gzip;q=0", "br", "gzipped", ""])(
    "is not compressed for a client that accepts %j",
    async (accepted) => {
      const { header } = await call("SameLarge", { ...json, "accept-encoding": accepted }, '""');
      expect(header["content-encoding"]).toBeUndefined();
    },
  );

  const get = (headers: OutgoingHttpHeaders = {}) =>
    call("SameLarge?encoding=proto&message=", { ":method": "GET", ...headers });

  it("may be kept by caches if it is fetched with GET, and is not sent again to who has it", async () => {
    const { header } = await get();
    expect(header).toMatchObject({
      "cache-control": "public, max-age=0, s-maxage=1",
      vary: "accept-encoding, authorization, cookie",
      etag: expect.stringMatching(/^W\/"[\w-]{27}"$/),
    });
    const etag = String(header.etag);
    const compressed = await get(gzip);
    expect(compressed.header).toMatchObject({ "content-encoding": "gzip", etag });
    for (const known of [etag, etag.slice(2), `"other", ${etag}`, "*"]) {
      const again = await get({ "if-none-match": known });
      expect(again.header).toMatchObject({ ":status": 304, etag, vary: header.vary });
      expect(again.header["content-type"]).toBeUndefined();
      expect(again.body).toHaveLength(0);
    }
    for (const unknown of ['"other"', "W/", etag.slice(3, -1), ""]) {
      expect((await get({ "if-none-match": unknown })).header[":status"]).toBe(200);
    }
  });

  it("has another entity tag in another codec, and once it differs", async () => {
    const { header } = await get();
    const inJson = await call("SameLarge?encoding=json&message=%22%22", { ":method": "GET" });
    expect(inJson.header.etag).not.toBe(header.etag);
    const other = await call("Same?encoding=proto&message=", { ":method": "GET" });
    expect(other.header.etag).not.toBe(header.etag);
  });

  it("is for no cache if it is fetched with POST, nor is a response that may change", async () => {
    const posted = await call("SameLarge", proto);
    const changing = await call("Grow?encoding=proto&message=", { ":method": "GET" });
    for (const { header } of [posted, changing]) {
      expect(header).toMatchObject({ ":status": 200 });
      expect(header.etag ?? header["cache-control"]).toBeUndefined();
    }
  });
});
