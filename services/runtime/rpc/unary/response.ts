import type { OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import {
  mergeNonProtocolHeaders,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import { grpcStatusOk, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { UnaryCall } from "./call.ts";
import { etagOf, toFrame, type Body, type MethodCodec } from "./encoding.ts";
import type { Format } from "./format.ts";

const EMPTY = new Uint8Array();

/** A call, the stream that it arrived on, and its format. */
export interface Exchange {
  stream: ServerHttp2Stream;
  format: Format;
  call: UnaryCall;
}

/** Adds metadata to headers. Only `set-cookie` may occur more than once. */
function add(into: OutgoingHttpHeaders, metadata: Headers | undefined, prefix = ""): void {
  for (const [name, value] of metadata ?? []) {
    const known = into[prefix + name];
    into[prefix + name] =
      known === undefined || name !== "set-cookie" ? value : [known, value].flat().map(String);
  }
}

function send(
  stream: ServerHttp2Stream,
  headers: OutgoingHttpHeaders,
  body: Uint8Array,
  trailers?: OutgoingHttpHeaders,
): void {
  if (stream.closed || stream.destroyed) return; // The client has disconnected.
  if (trailers) {
    stream.once("wantTrailers", () => stream.sendTrailers(trailers));
    stream.respond(headers, { waitForTrailers: true });
  } else {
    stream.respond(headers);
  }
  stream.end(body);
}

/**
 * Any cache may keep the response of a Connect GET that is the same for all anonymous callers: shared caches
 * for a second, browsers only to ask whether it has changed.
 */
const CACHEABLE = {
  "cache-control": "public, max-age=0, s-maxage=1",
  vary: "accept-encoding, authorization, cookie",
};
type CacheHeaders = typeof CACHEABLE & { etag: string };

/** The headers of a response that caches may keep; undefined for any other. */
function cacheHeaders({ call }: Exchange, { encoded }: Body): CacheHeaders | undefined {
  if (!encoded || call.requestMethod !== "GET") return undefined;
  return { ...CACHEABLE, etag: etagOf(encoded) };
}

/** Whether `If-None-Match` names the entity tag. The comparison is weak (RFC 9110, 13.1.2). */
function isKnown(asked: string | null, etag: string): boolean {
  const weak = (tag: string): string => tag.trim().replace(/^W\//, "");
  const own = weak(etag);
  return asked !== null && asked.split(",").some((tag) => tag.trim() === "*" || weak(tag) === own);
}

function sendConnect(
  { stream, call }: Exchange,
  { bytes, isCompressed = false }: Body,
  {
    status,
    contentType,
    cache,
  }: { status: number; contentType: string; cache?: CacheHeaders | undefined },
): void {
  if (cache && isKnown(call.headerValue("if-none-match"), cache.etag)) {
    return send(stream, { ":status": 304, ...cache }, EMPTY);
  }
  const headers: OutgoingHttpHeaders = {
    ":status": status,
    "content-type": contentType,
    "content-length": bytes.byteLength,
  };
  if (isCompressed) Object.assign(headers, { "content-encoding": "gzip", vary: "accept-encoding" });
  Object.assign(headers, cache);
  add(headers, call.addedHeader);
  add(headers, call.addedTrailer, "trailer-");
  send(stream, headers, bytes);
}

/** The trailers of a successful call in gRPC-Web, which are the last frame of the body. */
const OK_FRAME = toFrame(
  trailerFlag,
  trailerSerialize(new Headers({ "grpc-status": grpcStatusOk })),
);

function grpcTrailers(call: UnaryCall, error: ConnectError | undefined): Headers {
  return setTrailerStatus(new Headers(call.addedTrailer), error);
}

function sendGrpc(
  { stream, format, call }: Exchange,
  body: Uint8Array,
  error?: ConnectError,
): void {
  const { protocolName, contentType } = format;
  const headers: OutgoingHttpHeaders = { ":status": 200, "content-type": contentType };
  add(headers, call.addedHeader);
  // The edge, which transcodes gRPC to REST, does not read trailers.
  const retryAfter = error?.metadata.get("retry-after");
  if (retryAfter) headers["retry-after"] = retryAfter;
  const isPlain = !error && !call.addedTrailer;
  if (protocolName === "grpc-web") {
    const last = isPlain
      ? OK_FRAME
      : toFrame(trailerFlag, trailerSerialize(grpcTrailers(call, error)));
    return send(stream, headers, Buffer.concat([body, last]));
  }
  const trailers: OutgoingHttpHeaders = {};
  if (isPlain) trailers["grpc-status"] = grpcStatusOk;
  else add(trailers, grpcTrailers(call, error));
  send(stream, headers, body, trailers);
}

/** Sends the encoded message of a call in its protocol. */
export function sendMessage(exchange: Exchange, body: Body): void {
  const { protocolName, contentType } = exchange.format;
  if (protocolName === "connect") {
    const cache = cacheHeaders(exchange, body);
    sendConnect(exchange, body, { status: 200, contentType, cache });
  } else sendGrpc(exchange, toFrame(0, body.bytes));
}

/** Sends an error in the protocol of the call. */
export function sendError(exchange: Exchange, codec: MethodCodec, error: ConnectError): void {
  if (exchange.format.protocolName !== "connect") return sendGrpc(exchange, EMPTY, error);
  mergeNonProtocolHeaders(exchange.call.responseHeader, error.metadata);
  sendConnect(
    exchange,
    { bytes: codec.encodeError(error) },
    {
      status: codeToHttpStatus(error.code),
      contentType: "application/json",
    },
  );
}

/** Sends a response of the library, whose body is finite. */
export async function sendUniversal(
  stream: ServerHttp2Stream,
  response: UniversalServerResponse,
): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body ?? []) chunks.push(chunk);
  const headers: OutgoingHttpHeaders = { ":status": response.status };
  add(headers, response.header);
  const trailers: OutgoingHttpHeaders = {};
  add(trailers, response.trailer);
  send(stream, headers, Buffer.concat(chunks), response.trailer && trailers);
}
