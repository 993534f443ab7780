import { ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { toConnectError } from "./error-details.ts";
import { errorResponses, type ErrorResponse } from "./error-responses.ts";
import { header, mapper, OVERWRITE, text, type ReplyFormat } from "./mapper.ts";
import {
  connectReply,
  grpcReply,
  grpcWebReply,
  grpcWebTextReply,
  restReply,
} from "./reply-formats.ts";

// Envoy's `local_reply_config`: the error responses of the edge itself, in the protocol of each request.

/** A protocol: the CEL expression that recognizes its requests, and the format of its errors. */
interface Protocol {
  readonly expression: string;
  readonly reply: (response: ErrorResponse) => ReplyFormat;
  /** The only status that this protocol needs an entry for. */
  readonly status?: number;
}

const hasType = (pattern: string) =>
  `('content-type' in request.headers && request.headers['content-type'].matches('^(?i)application/${pattern}'))`;

const isRest = `(('x-envoy-original-path' in request.headers && request.headers['x-envoy-original-path'].startsWith('/api')) || (request.path.startsWith('/api') && !${hasType("grpc")}))`;
const isOurs = "request.path.matches('^/ticketing[.]')";
const isGrpc = hasType("grpc($|[+;])");
const isGrpcWeb = hasType("grpc-web");
/** The content type is still this where requests.lua has not seen the request. */
const isGrpcWebText = hasType("grpc-web-text");

/** A transcoded request has two paths and the content type of gRPC, so REST comes first. */
const protocols: readonly Protocol[] = [
  { expression: isRest, reply: restReply },
  { expression: `${isOurs} && ${isGrpc}`, reply: grpcReply },
  {
    // Envoy rejects a malformed path or host before the script runs.
    status: 400,
    expression: `${isOurs} && ${isGrpcWebText}`,
    reply: (response) => grpcWebTextReply(toConnectError(response)),
  },
  {
    expression: `${isOurs} && ${isGrpcWeb}`,
    reply: (response) => grpcWebReply(toConnectError(response)),
  },
  { expression: isOurs, reply: connectReply },
];

/** A CEL format that selects one value by the status of the response. */
const byStatus = (valueOf: (response: ErrorResponse) => string): string => {
  const special = errorResponses.filter(({ when, verbatim }) => when !== undefined && !verbatim);
  const rest = errorResponses.filter(({ when }) => when === undefined);
  const choices = special.map((each) => `${each.when} ? '${valueOf(each)}' : `).join("");
  const values = rest.map((each) => `${each.status}: '${valueOf(each)}'`).join();
  return `%CEL(${choices}{${values}}[response.code])%`;
};
const message = byStatus((response) => response.message);

/** RPCs of contracts that are not ours: the code, without a reason. */
const foreignProtocols: readonly (readonly [expression: string, format: ReplyFormat])[] = [
  [
    isGrpc,
    {
      headers_to_add: [header(["grpc-status", byStatus(({ code }) => String(code))], OVERWRITE)],
      body_format_override: text(message),
    },
  ],
  [
    `('connect-protocol-version' in request.headers || ${hasType("(proto|connect[+])")})`,
    {
      body_format_override: {
        json_format: { code: byStatus(({ code }) => codeToString(code)), message },
      },
    },
  ],
];

/** Foreign gRPC-Web: a client would read these two HTTP statuses as UNKNOWN. */
const foreignGrpcWeb = errorResponses
  .filter(({ status }) => status === 404 || status === 413)
  .flatMap((response) => {
    const error = new ConnectError(response.message, response.code);
    const asText = mapper(isGrpcWebText, response, grpcWebTextReply(error));
    const asBinary = mapper(isGrpcWeb, response, grpcWebReply(error));
    return response.status === 404 ? [asText, asBinary] : [asBinary];
  });

/** Pages, and requests of no known protocol, get the message as text, and when to retry. */
const plainText = errorResponses.filter(({ retryAfter }) => retryAfter !== undefined);

/** The local replies, in the order in which Envoy matches them. */
export const localReplies = () => ({
  mappers: [
    ...protocols.flatMap(({ expression, reply, status: only }) =>
      errorResponses
        .filter(({ status }) => status === (only ?? status))
        .map((response) => mapper(expression, response, reply(response))),
    ),
    ...foreignGrpcWeb,
    ...foreignProtocols.map(([expression, format]) => mapper(expression, {}, format)),
    ...plainText.map((response) => mapper("", response, {})),
  ],
  body_format: text(message),
});
