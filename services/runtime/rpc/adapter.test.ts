import { once } from "node:events";
import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import type { UniversalHandler, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { Code } from "@connectrpc/connect";
import { Access } from "@ticketing/proto/options/v1/options";
import { expect, it, onTestFinished } from "vitest";
import { recordedLog } from "../testing/log.ts";
import { testServer } from "../testing/server.ts";
import { wordService, type WordClient } from "../testing/word-service.ts";

const { service, routes } = wordService({
  Echo: { access: Access.ANYONE, answer: (word) => word },
});
const { log, lines } = recordedLog();

/** A handler that fails in a way in which no handler of the library fails. */
const failing = (
  requestPath: string,
  call: () => Promise<UniversalServerResponse>,
): UniversalHandler =>
  Object.assign(call, {
    ...{ service, method: service.methods[0], requestPath, protocolNames: [] },
    ...{ allowedMethods: ["POST"], supportedContentType: () => true },
  }) as never;

async function* breakingOff(): AsyncIterable<Uint8Array> {
  yield Buffer.from("half of");
  await Promise.reject(new Error("a secret"));
}

const server = await testServer(
  (router) => {
    routes(router);
    router.handlers.push(
      failing("/test/Rejects", () => Promise.reject(new Error("a secret"))),
      failing("/test/Throws", () => {
        throw new Error("a secret");
      }),
      failing("/test/BreaksOff", () => Promise.resolve({ status: 200, body: breakingOff() })),
    );
  },
  { log },
);

interface Answer {
  status: number | undefined;
  grpcStatus: number | undefined;
  body: string;
  /** The error code with which the stream ended. */
  reset: number | undefined;
}

async function send(headers: OutgoingHttpHeaders): Promise<Answer> {
  const session = connect(server.url);
  onTestFinished(() => session.destroy());
  const get = headers[":method"] === "GET";
  const stream = session.request({ ":method": "POST", ...headers }, { endStream: get });
  const answer: Answer = {
    ...{ status: undefined, grpcStatus: undefined, body: "", reset: undefined },
  };
  stream.on("response", (head) => {
    answer.status = head[":status"];
    if (head["grpc-status"]) answer.grpcStatus = Number(head["grpc-status"]);
  });
  stream.on("data", (chunk: Buffer) => (answer.body += chunk.toString()));
  stream.on("error", () => undefined); // The code contains the error.
  if (!get) stream.end("{}");
  await new Promise((resolve) => stream.once("close", resolve));
  answer.reset = stream.rstCode;
  return answer;
}

const methods = ["test.WordService/Echo", "grpc.health.v1.Health/Check"];
const authorities = ["a:99999", "a:b", "[", "[::1]]", "%", "::", "%zz:1", ":80", "a:-1"];

it.each(methods)("answers an invalid authority with 400 and continues: %s", async (path) => {
  for (const authority of authorities) {
    for (const type of ["application/json", "application/proto"]) {
      const headers = { ":path": `/${path}`, "content-type": type };
      for (const names of [{ ":authority": authority }, { host: authority }]) {
        const answer = await send({ ...headers, ...names });
        expect(answer, authority).toMatchObject({ status: 400 });
        expect(JSON.parse(answer.body)).toMatchObject({ code: "invalid_argument" });
      }
    }
    for (const type of ["application/grpc", "application/grpc-web+proto"]) {
      const grpc = { ":path": `/${path}`, "content-type": type, te: "trailers" };
      const answer = await send({ ...grpc, ":authority": authority });
      expect(answer).toMatchObject({ status: 400, grpcStatus: Code.InvalidArgument });
    }
    const get = `/${path}?connect=v1&encoding=json&message=%7B%7D`;
    const answer = await send({ ":method": "GET", ":path": get, ":authority": authority });
    expect([400, 405]).toContain(answer.status); // Not every method allows GET.
  }
  const client = server.connect(service) as unknown as WordClient;
  expect((await client["echo"]?.({ value: "still here" }))?.value).toBe("still here");
});

it.each(["/test/Rejects", "/test/Throws"])(
  "answers a call whose handler fails without a response, and logs the cause: %s",
  async (path) => {
    lines.length = 0;
    const plain = await send({ ":path": path, "content-type": "application/json" });
    expect(plain).toMatchObject({ status: 500 });
    expect(JSON.parse(plain.body)).toEqual({ code: "internal", message: "internal error" });
    const grpc = await send({ ":path": path, "content-type": "application/grpc" });
    expect(grpc).toMatchObject({ status: 500, grpcStatus: Code.Internal });
    expect(lines.filter(({ level }) => level === 50)).toMatchObject([
      { err: { message: "a secret" } },
      { err: { message: "a secret" } },
    ]);
  },
);

it("ends the stream of an incomplete response", async () => {
  const answer = await send({ ":path": "/test/BreaksOff", "content-type": "application/json" });
  expect(answer).toMatchObject({ status: 200, body: "half of", reset: 2 });
});

it("answers a call to an unknown method as UNIMPLEMENTED, in the protocol of the request", async () => {
  const path = { ":path": "/ticketing.test.v1.WordService/Nothing" };
  const connect = await send({ ...path, "content-type": "application/json" });
  expect(connect.status).toBe(404);
  expect(JSON.parse(connect.body)).toMatchObject({ code: "unimplemented" });
  expect(connect.body).toContain("NO_SUCH_PATH");
  for (const type of ["application/grpc", "application/grpc-web+proto"]) {
    const grpc = await send({ ...path, "content-type": type });
    expect(grpc.grpcStatus, type).toBe(Code.Unimplemented);
  }
});

it("sends the HTTP methods that a call allows", async () => {
  const session = connect(server.url);
  onTestFinished(() => session.destroy());
  const stream = session.request({ ":method": "PUT", ":path": "/test.WordService/Echo" });
  stream.end();
  const [head] = (await once(stream, "response")) as [IncomingHttpHeaders];
  expect(head).toMatchObject({ ":status": 405, allow: "POST" });
});
