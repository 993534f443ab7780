import { toJson } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { codeToString, errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { Choice } from "./cel.ts";
import { detailsOf, toConnectError } from "./error-details.ts";
import type { ErrorResponse } from "./error-responses.ts";
import { header, json, OVERWRITE, text, type ReplyFormat } from "./mapper.ts";

// The error responses in the format of each protocol.

/** `google.rpc.Status` as JSON, as the transcoder renders a service's error; a header says when to retry. */
function restStatus(response: ErrorResponse): object {
  const details = detailsOf({ ...response, retryAfter: undefined }).map(({ desc, value }) => ({
    "@type": `type.googleapis.com/${desc.typeName}`,
    ...(toJson(desc, value) as object),
  }));
  return { code: response.restCode ?? response.code, message: response.message, details };
}

export const restReply = (choose: Choice): ReplyFormat => ({
  body_format_override: json(choose((response) => JSON.stringify(restStatus(response)))),
});

/** A response whose message is Envoy's own. */
export const restReplyVerbatim = (response: ErrorResponse): ReplyFormat => ({
  body_format_override: {
    json_format: { ...restStatus(response), message: "%LOCAL_REPLY_BODY%" },
  },
});

const trailer = (response: ErrorResponse, name: string): string =>
  setTrailerStatus(new Headers(), toConnectError(response)).get(name) ?? "";

const grpcTrailer = (name: string, choose: Choice): object =>
  header([name, choose((response) => trailer(response, name))], OVERWRITE);

export const message = (choose: Choice): string => choose((response) => response.message);

/** Envoy turns this into a trailers-only response, and the body into `grpc-message`. */
export const grpcReply = (choose: Choice): ReplyFormat => ({
  headers_to_add: ["grpc-status", "grpc-status-details-bin"].map((name) =>
    grpcTrailer(name, choose),
  ),
  body_format_override: text(message(choose)),
});

export const foreignGrpcReply = (choose: Choice): ReplyFormat => ({
  headers_to_add: [grpcTrailer("grpc-status", choose)],
  body_format_override: text(message(choose)),
});

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
  readonly details: readonly { readonly type: string; readonly value: string }[];
}

/** The error of Connect as JSON, without the `debug` form of its details. */
function connectError(response: ErrorResponse): object {
  const json = errorToJson(toConnectError(response), {}) as unknown as ConnectJson;
  return { ...json, details: json.details.map(({ type, value }) => ({ type, value })) };
}

export const connectReply = (choose: Choice): ReplyFormat => ({
  body_format_override: json(choose((response) => JSON.stringify(connectError(response)))),
});

export const foreignConnectReply = (choose: Choice): ReplyFormat => ({
  body_format_override: {
    json_format: { code: choose(({ code }) => codeToString(code)), message: message(choose) },
  },
});
