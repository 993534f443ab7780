import { create, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor, type UnaryResponse } from "@connectrpc/connect";
import type { UniversalHandler, UniversalHandlerOptions } from "@connectrpc/connect/protocol";
import type { UnaryCall } from "./call.ts";
import { methodCodec, type Body, type Limits, type MethodCodec } from "./encoding.ts";
import { acceptsGzip } from "./format.ts";
import type { UnaryMethod } from "./methods.ts";
import { sendError, sendMessage, sendUniversal, type Exchange } from "./response.ts";

type UnaryFn = ReturnType<Interceptor>;

/** A method on the lean path. */
export interface Endpoint {
  desc: UnaryMethod["desc"];
  codec: MethodCodec;
  /** The interceptors and the handler. */
  run: UnaryFn;
  /** The library's handler of the same method. */
  library: UniversalHandler;
}

export interface EndpointOptions extends Limits {
  interceptors: readonly Interceptor[];
  jsonOptions: UniversalHandlerOptions["jsonOptions"];
}

export function toEndpoint(
  { desc, implement, ...own }: UnaryMethod,
  library: UniversalHandler,
  options: EndpointOptions,
): Endpoint {
  const { jsonOptions, interceptors } = { ...options, ...own };
  const core: UnaryFn = async (request) => {
    const call = request as UnaryCall;
    const answer = await implement(call.message, call);
    return { message: create(desc.output, answer) } as UnaryResponse;
  };
  return {
    desc,
    library,
    codec: methodCodec(desc, jsonOptions, options),
    run: interceptors.reduceRight((next, interceptor) => interceptor(next), core),
  };
}

/** A call of a method. */
export interface Arrival extends Exchange {
  endpoint: Endpoint;
}

/** Decodes a body, answers it by the interceptors and the handler, and sends the response. */
export async function answer(arrival: Arrival, request: Buffer): Promise<void> {
  const { endpoint, format, call } = arrival;
  const message = decode(arrival, request);
  if (!message) return answerByLibrary(arrival, request);
  call.message = message;
  let body: Body;
  try {
    const response = await endpoint.run(call);
    const isAccepted = acceptsGzip(format, call.headerValue("accept-encoding"));
    body = endpoint.codec.encode(format, response.message as Message, isAccepted);
  } catch (error) {
    return sendError(arrival, endpoint.codec, toConnectError(error));
  }
  sendMessage(arrival, body);
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
