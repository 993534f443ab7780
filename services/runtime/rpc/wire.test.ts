import { once } from "node:events";
import { connect, constants, type IncomingHttpHeaders } from "node:http2";
import { Code, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Access } from "@ticketing/proto/options/v1/options";
import { describe, expect, it, onTestFinished } from "vitest";
import { CallError, DomainError } from "../errors.ts";
import { refusal } from "../testing/refusal.ts";
import { testServer } from "../testing/server.ts";
import { wordService, type WordClient } from "../testing/word-service.ts";

// Cases that the conformance suite does not cover.

type Headers = Record<string, string>;

/** The server's status for these bytes; for gRPC it is in the trailers. */
async function post(headers: Headers, body: Uint8Array | string): Promise<string> {
  const session = connect(baseUrl);
  onTestFinished(() => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": "/test.WordService/Echo",
    ...headers,
  });
  let status = "";
  const told = (answer: IncomingHttpHeaders): void => {
    status = String(answer["grpc-status"] ?? (status || answer[":status"]));
  };
  stream.on("response", told).on("trailers", told).resume().end(body);
  await once(stream, "close");
  return status;
}

const grpc = { "content-type": "application/grpc", te: "trailers" };
const json = { "content-type": "application/json" };
const empty = new Uint8Array(5); // A gRPC message: not compressed, zero bytes.

const { service, routes } = wordService({
  Echo: { access: Access.ANYONE, answer: (word) => word },
  Later: {
    access: Access.ANYONE,
    answer: () => Promise.reject(new CallError("NOT_READY", "later", { retryAfterMs: 2_100 })),
  },
  Full: {
    access: Access.ANYONE,
    answer: () =>
      Promise.reject(new DomainError("TOO_MANY_OPEN_ORDERS", Code.ResourceExhausted, "too many")),
  },
  Crowded: {
    access: Access.ANYONE,
    answer: () => Promise.reject(new CallError("OUTBOX_FULL", "too many")),
  },
  Hold: {
    access: Access.ANYONE,
    answer: (_, { signal }) => {
      begun.resolve();
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve(left())));
    },
  },
});
const begun = Promise.withResolvers<void>();
const gone = Promise.withResolvers<void>();
const left = (): string => {
  gone.resolve();
  return "nobody";
};
const { url: baseUrl } = await testServer(routes);
const http2 = { baseUrl, httpVersion: "2" } as const;

describe("a server", () => {
  it.each([
    ["Connect", createConnectTransport({ ...http2, useBinaryFormat: true })],
    ["gRPC", createGrpcTransport({ baseUrl })],
    ["gRPC-Web", createGrpcWebTransport(http2)],
  ])(
    "accepts a message of exactly 64 KiB over %s, and refuses a larger one",
    async (_, transport) => {
      const client = createClient(service, transport) as unknown as WordClient;
      const value = "x".repeat(64 * 1024 - 4); // One byte encodes the field, three bytes encode its length.
      expect((await client["echo"]?.({ value }))?.value).toBe(value);
      const refused = await refusal(client["echo"]?.({ value: `${value}x` }) as Promise<unknown>);
      expect(refused.code).toBe(Code.ResourceExhausted);
    },
  );

  it.each<[string, Headers]>([
    ["words", { "grpc-timeout": "soon" }],
    ["no unit", { "grpc-timeout": "100" }],
    ["too many digits", { "grpc-timeout": "123456789m" }],
    ["a negative number", { "grpc-timeout": "-1S" }],
  ])("reports a malformed timeout as the client's error over gRPC: %s", async (_, limit) => {
    expect(await post({ ...grpc, ...limit }, empty)).toBe(String(Code.InvalidArgument));
  });

  it.each<[string, Headers]>([
    ["words", { "connect-timeout-ms": "soon" }],
    ["a fraction", { "connect-timeout-ms": "1.5" }],
    ["too many digits", { "connect-timeout-ms": "12345678901" }],
    ["a negative number", { "connect-timeout-ms": "-1" }],
  ])("reports a malformed timeout as the client's error over Connect: %s", async (_, limit) => {
    expect(await post({ ...json, ...limit }, '"hello"')).toBe("400");
  });

  it.each([
    ["Later", "3"],
    ["Full", "60"],
    ["Crowded", "1"],
  ])("sends the retry delay in a header too, for HTTP clients: %s", async (method, seconds) => {
    for (const type of ["application/json", "application/grpc"]) {
      const session = connect(baseUrl);
      onTestFinished(() => session.destroy());
      const call = {
        ":method": "POST",
        ":path": `/test.WordService/${method}`,
        "content-type": type,
      };
      const stream = session.request(call);
      stream.end(type === "application/json" ? '"hello"' : empty);
      const [head] = (await once(stream, "response")) as [IncomingHttpHeaders];
      expect(head["retry-after"], type).toBe(seconds);
    }
  });

  it("answers a call with binary metadata that are not valid base64", async () => {
    const garbage = { "some-bin": "*** ***" };
    expect(await post({ ...grpc, ...garbage }, empty)).toBe("0");
    expect(await post({ ...json, ...garbage }, '"hello"')).toBe("200");
  });

  it("reports a disconnected caller to the handler, and serves other calls on that connection", async () => {
    const session = connect(baseUrl);
    onTestFinished(() => session.destroy());
    const call = (method: string) =>
      session.request({ ":method": "POST", ":path": `/test.WordService/${method}`, ...json });
    const reset = call("Hold").on("error", () => undefined);
    reset.end('"hello"');
    await begun.promise;
    reset.close(constants.NGHTTP2_CANCEL);
    await gone.promise;
    const [answer] = (await once(call("Echo").end('"hello"'), "response")) as [IncomingHttpHeaders];
    expect(answer[":status"]).toBe(200);
  });
});
