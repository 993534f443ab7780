import { connect } from "node:http2";
import { gzipSync } from "node:zlib";
import { fromBinary, toBinary, create } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Client, credentials, status } from "@grpc/grpc-js";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "@ticketing/proto/grpc/health/v1/health";
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
} from "@ticketing/proto/grpc/reflection/v1/reflection";
import { ServerReflection as ServerReflectionAlpha } from "@ticketing/proto/grpc/reflection/v1alpha/reflection";
import { Access } from "@ticketing/proto/options/v1/options";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import { describe, expect, it, onTestFinished } from "vitest";
import { as } from "../testing/tokens.ts";
import { eventually } from "../testing/eventually.ts";
import { refusal } from "../testing/refusal.ts";
import { testServer } from "../testing/server.ts";
import { wordService, type WordClient } from "../testing/word-service.ts";

const { service, routes } = wordService({
  Echo: { access: Access.ANYONE, answer: (word) => word },
  Grow: { access: Access.ANYONE, answer: (word) => word.repeat(100) },
  Hold: { access: Access.ANYONE, answer: (word) => holding(word) },
});
let holding: (word: string) => Promise<string> = (word) => Promise.resolve(word);
const server = await testServer(routes, { catalogue: [TicketService] });
const { url: baseUrl } = server;
const http2 = { baseUrl, httpVersion: "2" } as const;

describe("a server", () => {
  it.each([
    ["Connect", createConnectTransport(http2)],
    ["Connect in binary", createConnectTransport({ ...http2, useBinaryFormat: true })],
    ["gRPC", createGrpcTransport({ baseUrl })],
    ["gRPC-Web", createGrpcWebTransport(http2)],
    ["gRPC, compressed", createGrpcTransport({ baseUrl, sendCompression: compressionGzip })],
  ])("speaks %s", async (_, transport) => {
    const client = createClient(service, transport) as unknown as WordClient;
    expect(await client["echo"]?.({ value: "hello" })).toMatchObject({ value: "hello" });
  });

  it.each([
    ["Connect", createConnectTransport(http2)],
    ["gRPC", createGrpcTransport({ baseUrl })],
    ["gRPC, compressed", createGrpcTransport({ baseUrl, sendCompression: compressionGzip })],
    ["gRPC-Web", createGrpcWebTransport(http2)],
  ])("refuses a request of more than 64 KiB over %s and continues", async (_, transport) => {
    const client = createClient(service, transport) as unknown as WordClient;
    for (const length of [65 * 1024, 1024 * 1024]) {
      const refused = await refusal(
        client["echo"]?.({ value: "x".repeat(length) }) as Promise<unknown>,
      );
      expect(refused.code).toBe(Code.ResourceExhausted);
    }
    expect((await client["echo"]?.({ value: "x".repeat(60_000) }))?.value).toHaveLength(60_000);
  });

  it.each([
    ["20 MiB", Buffer.alloc(20 * 1024 * 1024), {}],
    [
      "20 KiB that decompress to 20 MiB",
      gzipSync(Buffer.alloc(20 * 1024 * 1024)),
      { "content-encoding": "gzip" },
    ],
  ])("stops reading at its limit: %s", async (_, body, encoding) => {
    // Otherwise the client itself would detect that it sends too much.
    const session = connect(baseUrl, { maxSessionMemory: 100 });
    onTestFinished(() => session.destroy());
    const headers = {
      "content-type": "application/proto",
      ":method": "POST",
      ":path": "/test.WordService/Echo",
    };
    const stream = session.request({ ...headers, ...encoding });
    stream.on("error", () => undefined); // The code is ENHANCE_YOUR_CALM.
    stream.end(body);
    const status = await new Promise((resolve) => {
      stream.once("response", (answer) => resolve(answer[":status"]));
      stream.once("close", () => resolve(stream.rstCode));
    });
    expect(status).toBe(429); // Connect's status for RESOURCE_EXHAUSTED.
  });

  it("keeps no data of refused requests", async () => {
    const other = await testServer(routes);
    const client = other.grpc(service) as unknown as WordClient;
    const value = "x".repeat(1024 * 1024);
    // This many unread requests would exceed the memory limit of a connection.
    for (let i = 0; i < 150; i += 1) {
      const refused = await refusal(client["echo"]?.({ value }) as Promise<unknown>);
      expect(refused.code).toBe(Code.ResourceExhausted);
    }
    expect((await client["echo"]?.({ value: "hello" }))?.value).toBe("hello");
    const begun = performance.now();
    await other.close();
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  it("sends no response of more than 1 MiB", async () => {
    const client = server.grpc(service) as unknown as WordClient;
    const refused = await refusal(
      client["grow"]?.({ value: "x".repeat(20_000) }) as Promise<unknown>,
    );
    expect(refused.code).toBe(Code.ResourceExhausted);
  });

  it("ends a call at its deadline", async () => {
    holding = () => new Promise(() => undefined);
    const client = server.grpc(service) as unknown as WordClient;
    const late = await refusal(client["hold"]?.({}, { timeoutMs: 50 }) as Promise<unknown>);
    expect(late.code).toBe(Code.DeadlineExceeded);
  });

  it("answers a call that hangs with an error that can be retried (P26)", async () => {
    holding = () => new Promise(() => undefined);
    const hasty = await testServer(routes, { callTimeoutMs: 50 });
    for (const client of [hasty.grpc(service), hasty.connect(service)]) {
      const hung = await refusal(
        (client as unknown as WordClient)["hold"]?.({}) as Promise<unknown>,
      );
      expect(hung).toMatchObject({
        code: Code.Unavailable,
        reason: "TOO_SLOW",
        retryAfterMs: 1_000,
      });
    }
  });
});

describe("a server that is stopping", () => {
  it("completes active calls, ends endless streams, and accepts no new calls", async () => {
    const stopping = await testServer(routes, {});
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    let begun = 0;
    holding = async (word) => {
      begun += 1;
      await released;
      return word;
    };
    const watching = stopping.grpc(Health).watch({})[Symbol.asyncIterator]();
    expect((await watching.next()).value).toMatchObject({ status: Status.SERVING });
    const clients = [stopping.connect(service), stopping.grpc(service)] as unknown as WordClient[];
    const calls = clients.map((client) => client["hold"]?.({ value: "kept" }));
    await eventually(() => begun === 2, "both calls to start");
    let closed = false;
    const closing = stopping.close().then(() => (closed = true));
    expect(await watching.next()).toMatchObject({ done: true });
    const late = createClient(service, createGrpcTransport({ baseUrl: stopping.url }));
    const refused = await refusal(
      (late as unknown as WordClient)["echo"]?.({}) as Promise<unknown>,
    );
    expect(refused.code).toBe(Code.Unavailable);
    expect(closed).toBe(false);
    release();
    for (const answer of await Promise.all(calls)) expect(answer?.value).toBe("kept");
    await closing;
  });

  it("is not kept running by idle connections", async () => {
    const stopping = await testServer(routes, {});
    const idle = connect(stopping.url);
    onTestFinished(() => idle.destroy());
    await new Promise((resolve) => idle.once("remoteSettings", resolve));
    const begun = performance.now();
    await stopping.close();
    expect(performance.now() - begun).toBeLessThan(5_000);
  });
});

describe("health", () => {
  const health = server.grpc(Health);

  it("answers any gRPC client without a token", async () => {
    const stranger = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
    onTestFinished(() => stranger.close());
    const check = (name: string) =>
      new Promise((resolve, reject) => {
        stranger.makeUnaryRequest(
          "/grpc.health.v1.Health/Check",
          (request: string) =>
            Buffer.from(
              toBinary(
                HealthCheckRequestSchema,
                create(HealthCheckRequestSchema, { service: request }),
              ),
            ),
          (bytes) => fromBinary(HealthCheckResponseSchema, bytes),
          name,
          (error, response) => (error ? reject(error) : resolve(response?.status)),
        );
      });
    expect(await check("")).toBe(Status.SERVING);
    await expect(check("nobody")).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  it("reports each part by its name", async () => {
    server.health.set("broker", false);
    expect(await health.check({ service: "broker" })).toMatchObject({ status: Status.NOT_SERVING });
    const { statuses } = await health.list({});
    expect(
      Object.fromEntries(Object.entries(statuses).map(([name, each]) => [name, each.status])),
    ).toEqual({
      "": Status.SERVING,
      broker: Status.NOT_SERVING,
    });
  });

  it("reports every change to a watcher, and nothing else", async () => {
    const stop = new AbortController();
    const told: Status[] = [];
    server.health.set("broker", false);
    const watching = (async () => {
      for await (const { status: word } of health.watch(
        { service: "broker" },
        { signal: stop.signal },
      )) {
        told.push(word);
      }
    })();
    for (const [serving, length] of [
      [true, 2],
      [true, 2],
      [false, 3],
    ] as const) {
      await eventually(() => told.length > 0, "the first status");
      server.health.set("other", serving);
      server.health.set("broker", serving);
      await eventually(() => told.length === length, "the changed status");
    }
    stop.abort();
    await expect(watching).rejects.toThrow(ConnectError);
    expect(told).toEqual([Status.NOT_SERVING, Status.SERVING, Status.NOT_SERVING]);
  });
});

describe("reflection", () => {
  type Question = NonNullable<
    Parameters<typeof create<typeof ServerReflectionRequestSchema>>[1]
  >["messageRequest"];

  /** The server's answer to one request, in the given version of the protocol. */
  async function ask(question: Question, alpha = false) {
    const asked = alpha
      ? (ServerReflectionAlpha as unknown as typeof ServerReflection)
      : ServerReflection;
    const answers = server.grpc(asked).serverReflectionInfo(
      (async function* () {
        yield { host: "", ...(question && { messageRequest: question }) };
      })(),
    );
    for await (const { messageResponse } of answers) return messageResponse;
    throw new Error("no answer");
  }

  const filesOf = (answer: Awaited<ReturnType<typeof ask>>): string[] => {
    if (answer.case !== "fileDescriptorResponse") throw new Error(`answered ${answer.case}`);
    return answer.value.fileDescriptorProto.map(
      (bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name,
    );
  };

  it.each([false, true])(
    "lists the public services to an anonymous caller (alpha: %s)",
    async (alpha) => {
      const answer = await ask({ case: "listServices", value: "" }, alpha);
      expect(
        answer.case === "listServicesResponse" && answer.value.service.map(({ name }) => name),
      ).toEqual(["ticketing.tickets.v1.TicketService"]);
    },
  );

  it.each([
    "ticketing.tickets.v1.TicketService",
    "ticketing.tickets.v1.TicketService.CreateTicket",
    "ticketing.tickets.v1.CreateTicketRequest",
    "ticketing.tickets.v1.CreateTicketRequest.title",
  ])("describes %s with all imports of its file, each file once", async (symbol) => {
    const names = filesOf(await ask({ case: "fileContainingSymbol", value: symbol }));
    expect(names).toEqual(
      expect.arrayContaining([
        "ticketing/tickets/v1/ticket_service.proto",
        "ticketing/tickets/v1/ticket.proto",
        "ticketing/options/v1/options.proto",
        "buf/validate/validate.proto",
        "google/api/annotations.proto",
        "google/protobuf/timestamp.proto",
      ]),
    );
    expect(new Set(names).size).toBe(names.length);
  });

  it("returns a file by its name, and the extensions of a message", async () => {
    const name = "ticketing/options/v1/options.proto";
    expect(filesOf(await ask({ case: "fileByFilename", value: name }))).toContain(name);
    const containingType = "google.protobuf.MethodOptions";
    const numbers = await ask({ case: "allExtensionNumbersOfType", value: containingType });
    expect(
      numbers.case === "allExtensionNumbersResponse" && numbers.value.extensionNumber,
    ).toContain(50_001);
    const value = { containingType, extensionNumber: 50_001 };
    expect(filesOf(await ask({ case: "fileContainingExtension", value }))).toContain(name);
  });

  it.each<Question>([
    { case: "fileContainingSymbol", value: "ticketing.nothing.v1.Here" },
    { case: "fileContainingSymbol", value: "" },
    { case: "fileByFilename", value: "../../etc/passwd" },
    { case: "fileContainingExtension", value: { containingType: "no.Type", extensionNumber: 1 } },
    { case: undefined },
  ])("answers an unknown name with an error: %o", async (question) => {
    const answer = await ask(question);
    expect(answer).toMatchObject({ case: "errorResponse", value: { errorCode: Code.NotFound } });
  });
});

it("authenticates the caller if the contract requires it", async () => {
  const guarded = wordService({ Guarded: { access: Access.SIGNED_IN, answer: (word) => word } });
  const other = await testServer(guarded.routes);
  for (const client of [other.connect(guarded.service), other.grpc(guarded.service)]) {
    const { guarded: call } = client as unknown as WordClient;
    expect((await refusal(call?.({}) as Promise<unknown>)).code).toBe(Code.Unauthenticated);
    expect((await call?.({ value: "hello" }, await as("ann")))?.value).toBe("hello");
  }
});
