import { ConnectError } from "@connectrpc/connect";
import { always, byResponse, isOneOf, isThis, type Choice } from "./cel.ts";
import { toConnectError } from "./error-details.ts";
import { errorResponses, type ErrorResponse } from "./error-responses.ts";
import { mapper, text, type ReplyFormat } from "./mapper.ts";
import {
  connectReply,
  foreignConnectReply,
  foreignGrpcReply,
  grpcReply,
  grpcWebReply,
  grpcWebTextReply,
  message,
  restReply,
  restReplyVerbatim,
} from "./reply-formats.ts";

// Envoy's `local_reply_config`: the error responses of the edge itself, in the protocol of each request.

const hasType = (pattern: string) =>
  `('content-type' in request.headers && request.headers['content-type'].matches('^(?i)application/${pattern}'))`;

/** A transcoded request has two paths and the content type of gRPC, so REST comes first. */
const isRest = `(('x-envoy-original-path' in request.headers && request.headers['x-envoy-original-path'].startsWith('/api')) || (request.path.startsWith('/api') && !${hasType("grpc")}))`;
const isOurs = "request.path.startsWith('/ticketing.')";
const isGrpc = hasType("grpc($|[+;])");
const isGrpcWeb = hasType("grpc-web");
/** The content type is still this where requests.lua has not seen the request. */
const isGrpcWebText = hasType("grpc-web-text");

/** The mapper of a single response. */
const only = (each: ErrorResponse, isProtocol: string, format: ReplyFormat): object =>
  mapper(`${isThis(each)} && ${isProtocol}`, format, always(each));

/** The mappers of a protocol whose format can be made of expressions: one, and one for each other status. */
function inOneFormat(isProtocol: string, format: (choose: Choice) => ReplyFormat): object[] {
  const moved = errorResponses.flatMap((each) =>
    each.sent === undefined
      ? []
      : [only(each, isProtocol, { ...format(always(each)), status_code: each.sent })],
  );
  return [...moved, mapper(`${isOneOf} && ${isProtocol}`, format(byResponse))];
}

/** REST, where Envoy's own message is sometimes more precise than ours. */
const rest = [
  ...errorResponses
    .filter(({ verbatim }) => verbatim)
    .map((each) => only(each, isRest, restReplyVerbatim(each))),
  ...inOneFormat(isRest, restReply),
];

/** gRPC-Web, whose bodies are binary, which no expression can yield: a mapper for each response. */
const grpcWeb = [
  // Envoy rejects a malformed path or host before the script runs.
  ...errorResponses
    .filter(({ status }) => status === 400)
    .map((each) =>
      only(each, `${isOurs} && ${isGrpcWebText}`, grpcWebTextReply(toConnectError(each))),
    ),
  ...errorResponses.map((each) =>
    only(each, `${isOurs} && ${isGrpcWeb}`, grpcWebReply(toConnectError(each))),
  ),
];

/** Foreign gRPC-Web: a client would read these two HTTP statuses as UNKNOWN. */
const foreignGrpcWeb = errorResponses
  .filter(({ status }) => status === 404 || status === 413)
  .flatMap((each) => {
    const error = new ConnectError(each.message, each.code);
    const asText = only(each, isGrpcWebText, grpcWebTextReply(error));
    const asBinary = only(each, isGrpcWeb, grpcWebReply(error));
    return each.status === 404 ? [asText, asBinary] : [asBinary];
  });

/** RPCs of contracts that are not ours: the code, without a reason. */
const foreign = [
  ...foreignGrpcWeb,
  mapper(`${isOneOf} && ${isGrpc}`, foreignGrpcReply(byResponse)),
  mapper(
    `${isOneOf} && ('connect-protocol-version' in request.headers || ${hasType("(proto|connect[+])")})`,
    foreignConnectReply(byResponse),
  ),
];

/** The local replies, in the order in which Envoy matches them. */
export const localReplies = () => ({
  mappers: [
    ...rest,
    ...inOneFormat(`${isOurs} && !${hasType("grpc")}`, connectReply),
    ...inOneFormat(`${isOurs} && ${isGrpc}`, grpcReply),
    ...grpcWeb,
    ...foreign,
    // Pages, and requests of no known protocol, get the message as text.
    mapper(isOneOf, {}),
  ],
  body_format: text(message(byResponse)),
});
