import { Code, ConnectError } from "@connectrpc/connect";
import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import {
  codeFromString,
  codeToHttpStatus,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { CallError } from "../errors.ts";
import { toWireError } from "./errors.ts";

// The library decodes a request before any interceptor runs. It reports a request that it cannot decode as
// INTERNAL, as if the server had failed, or refuses it without a reason. Here the response gets our code and
// our reason, in the format of each protocol: docs/decisions/0012-decode-errors-are-invalid-arguments.md.

const MALFORMED = /^(parse binary: |cannot decode |protocol error: |decompression failed)/;
const TOO_LARGE = /^message (size )?(\d+ )?is larger than configured readMaxBytes/;

type Body = AsyncIterable<Uint8Array>;

/** The error that replaces the library's error, or undefined for any other error. */
type Mend = (code: Code | undefined, message: string) => ConnectError | undefined;

const isDecoding = (code: Code | undefined): boolean =>
  code === Code.Internal || code === Code.InvalidArgument;

const withReason: Mend = (code, message) => {
  if (isDecoding(code) && MALFORMED.test(message)) {
    return toWireError(new CallError("MALFORMED_REQUEST", message));
  }
  if (code === Code.ResourceExhausted && TOO_LARGE.test(message)) {
    return toWireError(new CallError("TOO_LARGE", "the request is larger than 64 KiB"));
  }
  return undefined;
};

/** Our contracts guarantee the reasons. For other methods only the code is corrected. */
const withoutReason: Mend = (code, message) =>
  code === Code.Internal && MALFORMED.test(message)
    ? new ConnectError(message, Code.InvalidArgument)
    : undefined;

/** Corrects gRPC's trailers. Returns whether anything was changed. */
function mendStatus(trailer: Headers, by: Mend): boolean {
  const message = decodeURIComponent(trailer.get("grpc-message") ?? "");
  const error = by(Number(trailer.get("grpc-status")), message);
  if (error) setTrailerStatus(trailer, error);
  return error !== undefined;
}

/** gRPC: the trailers are complete at the end of the body. */
async function* mendTrailers(body: Body, trailer: Headers, by: Mend): Body {
  yield* body;
  mendStatus(trailer, by);
}

/** gRPC-Web: the trailers are the last frame of the body. */
async function* mendFrames(body: Body, by: Mend): Body {
  for await (const chunk of body) yield chunk[0] === trailerFlag ? mendFrame(chunk, by) : chunk;
}

function mendFrame(frame: Uint8Array, by: Mend): Uint8Array {
  const trailer = trailerParse(frame.subarray(5));
  if (!mendStatus(trailer, by)) return frame;
  const text = trailerSerialize(trailer);
  const mended = Buffer.alloc(5 + text.byteLength);
  mended.writeUInt8(trailerFlag, 0);
  mended.writeUInt32BE(text.byteLength, 1);
  mended.set(text, 5);
  return mended;
}

/** Connect: the whole response is a JSON error. */
async function mendError(
  response: UniversalServerResponse,
  body: Body,
  by: Mend,
): Promise<UniversalServerResponse> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const asBefore = { ...response, body: once(bytes) };
  if (response.header?.has("content-encoding")) return asBefore;
  const { code, message } = JSON.parse(bytes.toString()) as { code: string; message?: string };
  const error = by(codeFromString(code), message ?? "");
  return error ? told(error, response.header) : asBefore;
}

/** An error in Connect's JSON format. */
function told(error: ConnectError, header = new Headers()): UniversalServerResponse {
  const bytes = errorToJsonBytes(error, {});
  header.set("content-type", "application/json");
  header.set("content-length", String(bytes.byteLength));
  return { status: codeToHttpStatus(error.code), header, body: once(bytes) };
}

async function* once(bytes: Uint8Array): Body {
  yield bytes;
}

async function mend(response: UniversalServerResponse, by: Mend): Promise<UniversalServerResponse> {
  const { body, header, trailer, status } = response;
  if (!body) return response;
  const type = header?.get("content-type") ?? "";
  if (type.startsWith("application/grpc-web")) return { ...response, body: mendFrames(body, by) };
  if (type.startsWith("application/grpc") && trailer) {
    sayWhenToRetry(header, trailer);
    return { ...response, body: mendTrailers(body, trailer, by) };
  }
  return status >= 400 ? mendError(response, body, by) : response;
}

/**
 * An error's metadata are trailers in gRPC. The edge, which transcodes gRPC to REST, does not read them
 * there. The trailers of a call that is refused before any response are known before its headers are
 * written.
 */
function sayWhenToRetry(header: Headers | undefined, trailer: Headers): void {
  const seconds = trailer.get("retry-after");
  if (seconds !== null) header?.set("retry-after", seconds);
}

/** A GET whose message is not valid base64, although it declares base64. The library fails on it. */
function isGarbled({ method, url }: UniversalServerRequest): boolean {
  if (method !== "GET") return false;
  const { searchParams } = new URL(url);
  return (
    searchParams.get("base64") === "1" &&
    !/^[\w+/-]*={0,2}$/.test(searchParams.get("message") ?? "")
  );
}

const garbled = (): UniversalServerResponse =>
  told(toWireError(new CallError("MALFORMED_REQUEST", "the message is not base64")));

/** Whether a method or a path belongs to our own contracts. */
export const isOwnContract = (name: string): boolean => /^\/?ticketing\./.test(name);

/** A request that cannot be decoded is the sender's error: INVALID_ARGUMENT, not INTERNAL. */
export const correctDecodeErrors = (handler: UniversalHandler): UniversalHandler => {
  const by = isOwnContract(handler.service.typeName) ? withReason : withoutReason;
  return Object.assign(
    async (req: UniversalServerRequest) =>
      isGarbled(req) ? garbled() : mend(await handler(req), by),
    handler,
  );
};
