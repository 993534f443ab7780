import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { createMethodUrl, type UniversalHandler } from "@connectrpc/connect/protocol";
import type { Log } from "../../log.ts";
import { UnaryCall } from "./call.ts";
import {
  answer,
  toEndpoint,
  type Arrival,
  type Endpoint,
  type EndpointOptions,
} from "./endpoint.ts";
import { getFormats, isPlainRequest, postFormat, timeoutOf, type Format } from "./format.ts";
import type { UnaryMethod } from "./methods.ts";
import { messageOf, readBody } from "./request-body.ts";

// The lean path for unary calls. The library builds pipelines of async iterators for each call, which cost
// several times what the rest of a small call costs. Here a request is read, decoded, answered by the same
// interceptors and handlers, and sent. What is unusual stays with the library: streams, compressed requests,
// and every request that cannot be decoded, so all errors of the protocols are its own.

const INTERNAL_ERROR = 2;

interface Options extends EndpointOptions {
  methods: readonly UnaryMethod[];
  /** The library's handlers of the same methods. */
  handlers: readonly UniversalHandler[];
  maxTimeoutMs: number;
  log: Log;
}

/** Answers a stream if it is a plain unary call, and otherwise returns false. */
export type UnaryListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean;

function endpointsByPath({ methods, handlers, ...options }: Options): Map<string, Endpoint> {
  const libraries = new Map(handlers.map((handler) => [handler.requestPath, handler]));
  const endpoints = new Map<string, Endpoint>();
  for (const method of methods) {
    const path = createMethodUrl("/", method.desc);
    const library = libraries.get(path);
    if (library) endpoints.set(path, toEndpoint(method, library, options));
  }
  return endpoints;
}

/** The endpoint and the message of a Connect GET, if there are any. */
function parseGet(endpoints: ReadonlyMap<string, Endpoint>, target: string) {
  const at = target.indexOf("?");
  const endpoint = endpoints.get(target.slice(0, Math.max(at, 0)));
  if (endpoint?.desc.idempotency !== Idempotency.NO_SIDE_EFFECTS) return undefined;
  const query = new URLSearchParams(target.slice(at));
  const format = getFormats.get(query.get("encoding"));
  const message = messageOf(query);
  return format && message && { endpoint, format, message };
}

export function unaryListener(options: Options): UnaryListener {
  const { readMaxBytes, maxTimeoutMs, log } = options;
  const endpoints = endpointsByPath(options);

  /** Starts a call, unless it is one for the library. */
  function accept(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    endpoint: Endpoint,
    format: Format | undefined,
  ): Arrival | undefined {
    if (!format || !isPlainRequest(headers, readMaxBytes)) return undefined;
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
    const { stream } = arrival;
    answer(arrival, body).catch((err: unknown) => {
      log.error({ err }, "a response could not be sent");
      if (!stream.destroyed) stream.close(INTERNAL_ERROR);
    });
  }

  function get(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, target: string): boolean {
    const asked = headers["content-type"] ? undefined : parseGet(endpoints, target);
    const arrival = asked && accept(stream, headers, asked.endpoint, asked.format);
    if (!arrival) return false;
    stream.resume();
    start(arrival, asked.message);
    return true;
  }

  function post(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, path: string): boolean {
    const endpoint = endpoints.get(path);
    const arrival = endpoint && accept(stream, headers, endpoint, postFormat(headers));
    if (!arrival) return false;
    readBody(stream, readMaxBytes, (body) => start(arrival, body));
    return true;
  }

  return (stream, headers) => {
    const { ":method": method, ":path": path = "" } = headers;
    if (method === "POST") return post(stream, headers, path);
    return method === "GET" && get(stream, headers, path);
  };
}
