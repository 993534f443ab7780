import {
  create,
  toJson,
  type DescMessage,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { codeToString, errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { ErrorInfoSchema, RetryInfoSchema } from "@ticketing/proto/google/rpc/error_details";
import { refusals, type Refusal } from "./refusals.ts";

// Envoy's own answers in the words of each protocol: its `local_reply_config`, out of the table of refusals.

const OVERWRITE = "OVERWRITE_IF_EXISTS_OR_ADD";
const header = ([key, value]: readonly [string, string], append_action: string): object => ({
  header: { key, value },
  append_action,
});

interface Detail {
  readonly desc: DescMessage;
  readonly value: Message;
}
const detail = <D extends DescMessage>(desc: D, value: MessageInitShape<D>): Detail => ({
  desc,
  value: create(desc, value),
});

function detailsOf({ reason, retryAfter }: Pick<Refusal, "reason" | "retryAfter">): Detail[] {
  const info = detail(ErrorInfoSchema, { reason, domain: "ticketing" });
  if (retryAfter === undefined) return [info];
  return [info, detail(RetryInfoSchema, { retryDelay: { seconds: BigInt(retryAfter) } })];
}

const errorOf = (refusal: Refusal): ConnectError =>
  Object.assign(new ConnectError(refusal.message, refusal.code), { details: detailsOf(refusal) });

/** A protocol: which requests speak it, and what it makes of a refusal. */
interface Protocol {
  readonly spoken: string;
  readonly answer: (refusal: Refusal) => Answer;
  /** The one status that it is needed for. */
  readonly status?: number;
}

/** A part of Envoy's `ResponseMapper`. */
interface Answer {
  readonly headers_to_add?: readonly object[];
  readonly status_code?: number;
  readonly body_format_override?: object;
}

const type = (pattern: string) =>
  `('content-type' in request.headers && request.headers['content-type'].matches('^(?i)application/${pattern}'))`;
const text = (words: string) => ({ text_format_source: { inline_string: words } });

/** google.rpc.Status as JSON, as the transcoder makes it of a service's refusal; a header says when to retry. */
function restAnswer(refusal: Refusal) {
  const details = detailsOf({ ...refusal, retryAfter: undefined }).map(({ desc, value }) => ({
    "@type": `type.googleapis.com/${desc.typeName}`,
    ...(toJson(desc, value) as object),
  }));
  const message = refusal.verbatim ? "%LOCAL_REPLY_BODY%" : refusal.message;
  const body = { code: refusal.restCode ?? refusal.code, message, details };
  return { body_format_override: { json_format: body } };
}

/** Envoy makes it an answer of trailers alone, and grpc-message of the body. */
function grpcAnswer(refusal: Refusal) {
  const trailer = setTrailerStatus(new Headers(), errorOf(refusal));
  trailer.delete("grpc-message");
  const headers_to_add = [...trailer].map((each) => header(each, OVERWRITE));
  return { headers_to_add, body_format_override: text(refusal.message) };
}

/** The trailers as the one frame of a body of gRPC-Web. */
function trailerFrame(error: ConnectError): Buffer {
  const lines = Buffer.from(trailerSerialize(setTrailerStatus(new Headers(), error)));
  const frame = Buffer.alloc(5 + lines.byteLength);
  frame.writeUInt8(trailerFlag, 0);
  frame.writeUInt32BE(lines.byteLength, 1);
  frame.set(lines, 5);
  return frame;
}

/** Whoever reads gRPC-Web looks at the HTTP status first. */
function grpcWebAnswer(error: ConnectError): Answer {
  const frame = trailerFrame(error).toString("latin1");
  // In a format of Envoy's a percent sign is written twice.
  const format = Buffer.from(frame.replaceAll("%", "%%"), "latin1");
  const text_format_source = { inline_bytes: format.toString("base64") };
  const content_type = "application/grpc-web+proto";
  return { status_code: 200, body_format_override: { text_format_source, content_type } };
}

/** In base64, which else requests.lua makes of the answer. */
function grpcWebTextAnswer(error: ConnectError): Answer {
  const content_type = "application/grpc-web-text+proto";
  const format = text(trailerFrame(error).toString("base64"));
  return { status_code: 200, body_format_override: { ...format, content_type } };
}

function connectAnswer(refusal: Refusal) {
  const { code, message, details } = errorToJson(errorOf(refusal), {}) as unknown as ConnectJson;
  const plain = details.map(({ type, value }) => ({ type, value }));
  return { body_format_override: { json_format: { code, message, details: plain } } };
}
interface ConnectJson {
  readonly code: string;
  readonly message: string;
  readonly details: readonly { readonly type: string; readonly value: string }[];
}

const isRest = `(('x-envoy-original-path' in request.headers && request.headers['x-envoy-original-path'].startsWith('/api')) || (request.path.startsWith('/api') && !${type("grpc")}))`;
const ours = "request.path.matches('^/ticketing[.]')";
const isGrpc = type("grpc($|[+;])");
const isGrpcWeb = type("grpc-web");
/** Still so where requests.lua has not come to see the request. */
const isGrpcWebText = type("grpc-web-text");

/** A request that was transcoded has two paths and the content type of gRPC, so REST comes first. */
const protocols: readonly Protocol[] = [
  { spoken: isRest, answer: restAnswer },
  { spoken: `${ours} && ${isGrpc}`, answer: grpcAnswer },
  {
    // A path or a host that is none: the script does not see those.
    status: 400,
    spoken: `${ours} && ${isGrpcWebText}`,
    answer: (refusal) => grpcWebTextAnswer(errorOf(refusal)),
  },
  { spoken: `${ours} && ${isGrpcWeb}`, answer: (refusal) => grpcWebAnswer(errorOf(refusal)) },
  { spoken: ours, answer: connectAnswer },
];

const FILTER =
  "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter";

function mapper(spoken: string, refusal: Partial<Refusal>, answer: Answer): object {
  const { status, when, sent, retryAfter } = refusal;
  const { headers_to_add = [], ...rest } = answer;
  const code = status === undefined ? "" : `response.code == ${status}`;
  const expression = [code, when, spoken].filter(Boolean).join(" && ");
  const typed_config = { "@type": FILTER, expression };
  return {
    filter: { extension_filter: { name: "cel", typed_config } },
    ...(sent !== undefined && { status_code: sent }),
    ...rest,
    headers_to_add: [
      header(["cache-control", "no-store"], OVERWRITE),
      ...(retryAfter ? [header(["retry-after", String(retryAfter)], "ADD_IF_ABSENT")] : []),
      ...headers_to_add,
    ],
  };
}

/** One word for every refusal: a format of Envoy's. */
const byStatus = (word: (refusal: Refusal) => string): string => {
  const special = refusals.filter(({ when, verbatim }) => when !== undefined && !verbatim);
  const rest = refusals.filter(({ when }) => when === undefined);
  const choices = special.map((each) => `${each.when} ? '${word(each)}' : `).join("");
  const words = rest.map((each) => `${each.status}: '${word(each)}'`).join();
  return `%CEL(${choices}{${words}}[response.code])%`;
};
const message = byStatus((refusal) => refusal.message);

/** An RPC of a contract that is not ours, and that nothing is known of: its code, without a reason. */
const foreign: readonly [spoken: string, answer: object][] = [
  [
    isGrpc,
    {
      headers_to_add: [header(["grpc-status", byStatus(({ code }) => String(code))], OVERWRITE)],
      body_format_override: text(message),
    },
  ],
  [
    `('connect-protocol-version' in request.headers || ${type("(proto|connect[+])")})`,
    {
      body_format_override: {
        json_format: { code: byStatus(({ code }) => codeToString(code)), message },
      },
    },
  ],
];

/** What HTTP's status alone would make UNKNOWN to gRPC-Web. */
const unknown = refusals.filter(({ status }) => status === 404 || status === 413);

const foreignWeb = unknown.flatMap((refusal) => {
  const error = new ConnectError(refusal.message, refusal.code);
  return [
    ...(refusal.status === 404 ? [mapper(isGrpcWebText, refusal, grpcWebTextAnswer(error))] : []),
    mapper(isGrpcWeb, refusal, grpcWebAnswer(error)),
  ];
});

/** The pages, and what is no request of any protocol, are told in words. */
const words = refusals.filter(({ retryAfter }) => retryAfter !== undefined);

/** What Envoy is to make of its own answers. */
export const localReplies = () => ({
  mappers: [
    ...protocols.flatMap(({ spoken, answer, status: only }) =>
      refusals
        .filter(({ status }) => status === (only ?? status))
        .map((refusal) => mapper(spoken, refusal, answer(refusal))),
    ),
    ...foreignWeb,
    ...foreign.map(([spoken, answer]) => mapper(spoken, {}, answer)),
    ...words.map((refusal) => mapper("", refusal, {})),
  ],
  body_format: text(message),
});
