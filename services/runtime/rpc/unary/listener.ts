import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { create, type Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError, type Interceptor, type UnaryResponse } from "@connectrpc/connect";
import {
  createMethodUrl,
  type UniversalHandler,
  type UniversalHandlerOptions,
} from "@connectrpc/connect/protocol";
import type { Log } from "../../log.ts";
import { UnaryCall } from "./call.ts";
import { methodCodec, type Limits, type MethodCodec } from "./encoding.ts";
import { getFormats, isPlainRequest, postFormat, timeoutOf, type Format } from "./format.ts";
import type { UnaryMethod } from "./methods.ts";
import { sendError, sendMessage, sendUniversal, type Exchange } from "./response.ts";

// The lean path for unary calls. The library builds pipelines of async iterators for each call, which cost
// several times what the rest of a small call costs. Here a request is read, decoded, answered by the same
// interceptors and handlers, and sent. What is unusual stays with the library: streams, compressed requests,
// and every request that cannot be decoded, so all errors of the protocols are its own.

const INTERNAL_ERROR = 2;
const GRACE_MS = 1_000;

type UnaryFn = ReturnType<Interceptor>;

/** A method on the lean path. */
interface Endpoint {
  desc: UnaryMethod["desc"];
  codec: MethodCodec;
  /** The interceptors and the handler. */
  run: UnaryFn;
  /** The library's handler of the same method. */
  library: UniversalHandler;
}

interface Options extends Limits {
  methods: readonly UnaryMethod[];
  handlers: readonly UniversalHandler[];
  interceptors: readonly Interceptor[];
  jsonOptions: UniversalHandlerOptions["jsonOptions"];
  maxTimeoutMs: number;
  log: Log;
}

/** What arrived, and in which format. */
interface Arrival extends Exchange {
  endpoint: Endpoint;
}

/** Answers a stream if it is a plain unary call, and otherwise returns false. */
export type UnaryListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean;

function toEndpoint(
  { desc, implement, jsonOptions }: UnaryMethod,
  library: UniversalHandler,
  options: Options,
): Endpoint {
  const core: UnaryFn = async (request) => {
    const call = request as UnaryCall;
    const answer = await implement(call.message, call);
    return { message: create(desc.output, answer) } as UnaryResponse;
  };
  return {
    desc,
    library,
    codec: methodCodec(desc, jsonOptions ?? options.jsonOptions, options),
    run: options.interceptors.reduceRight((next, interceptor) => interceptor(next), core),
  };
}

export function unaryListener(options: Options): UnaryListener {
  const { methods, handlers, maxTimeoutMs, log } = options;
  const libraries = new Map(handlers.map((handler) => [handler.requestPath, handler]));
  const endpoints = new Map<string, Endpoint>();
  for (const method of methods) {
    const path = createMethodUrl("/", method.desc);
    const library = libraries.get(path);
    if (library) endpoints.set(path, toEndpoint(method, library, options));
  }

  function fail(stream: ServerHttp2Stream, err: unknown): void {
    log.error({ err }, "a response could not be sent");
    if (!stream.destroyed) stream.close(INTERNAL_ERROR);
  }

  /** Starts a call, unless it is one for the library. */
  function accept(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    endpoint: Endpoint | undefined,
    format: Format | undefined,
  ): Arrival | undefined {
    if (!endpoint || !format || !isPlainRequest(headers, options.readMaxBytes)) return undefined;
    const { timeoutMs, error } = timeoutOf(format, headers, maxTimeoutMs);
    if (error) return undefined;
    const { protocolName } = format;
    const call = new UnaryCall({
      method: endpoint.desc,
      protocolName,
      headers,
      stream,
      timeoutMs,
    });
    stream.on("error", () => undefined); // The signal of the call reports a disconnected client.
    return { endpoint, format, call, stream };
  }

  function start(arrival: Arrival, body: Buffer): void {
    answer(arrival, body).catch((err: unknown) => fail(arrival.stream, err));
  }

  function get(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, path: string): boolean {
    const at = path.indexOf("?");
    const endpoint = endpoints.get(at === -1 ? path : path.slice(0, at));
    if (endpoint?.desc.idempotency !== Idempotency.NO_SIDE_EFFECTS || headers["content-type"])
      return false;
    const query = new URLSearchParams(at === -1 ? "" : path.slice(at));
    const message = messageOf(query);
    const arrival =
      message && accept(stream, headers, endpoint, getFormats.get(query.get("encoding")));
    if (!arrival) return false;
    stream.resume();
    start(arrival, message);
    return true;
  }

  return (stream, headers) => {
    const path = headers[":path"] ?? "";
    if (headers[":method"] === "GET") return get(stream, headers, path);
    if (headers[":method"] !== "POST") return false;
    const arrival = accept(stream, headers, endpoints.get(path), postFormat(headers));
    if (!arrival) return false;
    readBody(stream, options.readMaxBytes, (body) => start(arrival, body));
    return true;
  };
}

/** The message of a Connect GET, or undefined if only the library can read it. */
function messageOf(query: URLSearchParams): Buffer | undefined {
  if (query.has("compression")) return undefined;
  const message = query.get("message") ?? "";
  if (query.get("base64") !== "1") return Buffer.from(message);
  return /^[\w+/-]*={0,2}$/.test(message) ? Buffer.from(base64Decode(message)) : undefined;
}

/** Reads a body. One that is larger than a message may be is passed on as far as it was read. */
function readBody(
  stream: ServerHttp2Stream,
  readMaxBytes: number,
  done: (body: Buffer) => void,
): void {
  const chunks: Buffer[] = [];
  const most = readMaxBytes + 5; // With the frame header of gRPC.
  let size = 0;
  let isDone = false;
  const finish = (): void => {
    if (isDone) return;
    isDone = true;
    done(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
  };
  stream.on("data", (chunk: Buffer) => {
    if (isDone) return; // The rest of a refused request.
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size <= most) return;
    finish();
    chunks.length = 0;
    stream.once("finish", () => closeLater(stream));
  });
  stream.on("end", finish);
}

/** Ends a refused request that is still being sent; some clients never end one. */
function closeLater(stream: ServerHttp2Stream): void {
  // Not immediately: a client that is still sending would miss the response.
  setTimeout(() => {
    if (!stream.destroyed) stream.close();
  }, GRACE_MS).unref();
}

async function answer(arrival: Arrival, body: Buffer): Promise<void> {
  const { endpoint, format, call } = arrival;
  const message = decode(arrival, body);
  if (!message) return answerByLibrary(arrival, body);
  call.message = message;
  let bytes: Uint8Array;
  try {
    const response = await endpoint.run(call);
    bytes = endpoint.codec.encode(format, response.message as Message);
  } catch (error) {
    return sendError(arrival, endpoint.codec, toConnectError(error));
  }
  sendMessage(arrival, bytes);
}

function decode({ endpoint, format }: Arrival, body: Buffer): Message | undefined {
  try {
    return endpoint.codec.decode(format, body);
  } catch {
    return undefined;
  }
}

const toConnectError = (error: unknown): ConnectError =>
  error instanceof ConnectError
    ? error
    : new ConnectError("internal error", Code.Internal, undefined, undefined, error);

/** The library decodes the same bytes, and answers with the error of the protocol. */
async function answerByLibrary(arrival: Arrival, body: Buffer): Promise<void> {
  const { endpoint, call, stream } = arrival;
  const response = await endpoint.library({
    httpVersion: "2.0",
    method: call.requestMethod,
    url: call.url,
    header: call.header,
    body: once(body),
    signal: call.signal,
  });
  await sendUniversal(stream, response);
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
