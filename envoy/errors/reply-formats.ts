import { toJson } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { detailsOf, toConnectError } from "./error-details.ts";
import type { ErrorResponse } from "./error-responses.ts";
import { header, OVERWRITE, text, type ReplyFormat } from "./mapper.ts";

// An error response in the format of each protocol.

/** `google.rpc.Status` as JSON, as the transcoder renders a service's error; a header says when to retry. */
export function restReply(response: ErrorResponse): ReplyFormat {
  const details = detailsOf({ ...response, retryAfter: undefined }).map(({ desc, value }) => ({
    "@type": `type.googleapis.com/${desc.typeName}`,
    ...(toJson(desc, value) as object),
  }));
  const message = response.verbatim ? "%LOCAL_REPLY_BODY%" : response.message;
  const body = { code: response.restCode ?? response.code, message, details };
  return { body_format_override: { json_format: body } };
}

/** Envoy turns this into a trailers-only response, and the body into `grpc-message`. */
export function grpcReply(response: ErrorResponse): ReplyFormat {
  const trailer = setTrailerStatus(new Headers(), toConnectError(response));
  trailer.delete("grpc-message");
  const headers_to_add = [...trailer].map((each) => header(each, OVERWRITE));
  return { headers_to_add, body_format_override: text(response.message) };
}

const FRAME_HEADER_BYTES = 5;

/** The trailers as the only frame of a gRPC-Web body. */
function trailerFrame(error: ConnectError): Buffer {
  const lines = Buffer.from(trailerSerialize(setTrailerStatus(new Headers(), error)));
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + lines.byteLength);
  frame.writeUInt8(trailerFlag, 0);
  frame.writeUInt32BE(lines.byteLength, 1);
  frame.set(lines, FRAME_HEADER_BYTES);
  return frame;
}

/** A gRPC-Web client reads the HTTP status first, so it must be 200. */
export function grpcWebReply(error: ConnectError): ReplyFormat {
  const frame = trailerFrame(error).toString("latin1");
  // Envoy's format strings escape a percent sign by doubling it.
  const format = Buffer.from(frame.replaceAll("%", "%%"), "latin1");
  const text_format_source = { inline_bytes: format.toString("base64") };
  const content_type = "application/grpc-web+proto";
  return { status_code: 200, body_format_override: { text_format_source, content_type } };
}

/** The same in base64, for responses that do not pass requests.lua. */
export function grpcWebTextReply(error: ConnectError): ReplyFormat {
  const content_type = "application/grpc-web-text+proto";
  const format = text(trailerFrame(error).toString("base64"));
  return { status_code: 200, body_format_override: { ...format, content_type } };
}

interface ConnectJson {
  readonly code: string;
  readonly message: string;
  readonly details: readonly { readonly type: string; readonly value: string }[];
}

export function connectReply(response: ErrorResponse): ReplyFormat {
  const json = errorToJson(toConnectError(response), {}) as unknown as ConnectJson;
  const { code, message } = json;
  const details = json.details.map(({ type, value }) => ({ type, value }));
  return { body_format_override: { json_format: { code, message, details } } };
}
