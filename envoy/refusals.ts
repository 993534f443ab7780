import { Code } from "@connectrpc/connect";

// What the edge itself refuses, with the reason that a service gives for the same matter, in every
// protocol: docs/decisions/0032-one-reason-in-every-protocol.md.

export interface Refusal {
  /** What Envoy answers; and which answers of that status this is, as an expression of CEL. */
  readonly status: number;
  readonly when?: string;
  /** The status that is sent instead. */
  readonly sent?: number;
  readonly code: Code;
  /** Its code in REST, where that is another. */
  readonly restCode?: Code;
  readonly reason: string;
  readonly message: string;
  /** REST: Envoy's own words say better what is wrong. */
  readonly verbatim?: boolean;
  /** After how many seconds the same call may succeed. */
  readonly retryAfter?: number | undefined;
}

const malformed = { status: 400, code: Code.InvalidArgument, reason: "MALFORMED_REQUEST" } as const;
const unauthenticated = {
  code: Code.Unauthenticated,
  reason: "UNAUTHENTICATED",
  message: "sign in, or refresh the session: this needs a valid access token",
} as const;
const unavailable = {
  code: Code.Unavailable,
  reason: "UNAVAILABLE",
  message: "the service cannot answer now: try again in a moment",
  retryAfter: 1,
} as const;
const detailed = (beginning: string) => `response.code_details.startsWith('${beginning}')`;

/** The first that fits counts. */
export const refusals: readonly Refusal[] = [
  {
    ...malformed,
    when: detailed("path_normalization"),
    // The path names the method, so to an RPC it is one that there is not.
    code: Code.Unimplemented,
    restCode: Code.InvalidArgument,
    message: "the path is malformed: it must not hide slashes or dots behind percent signs",
  },
  {
    ...malformed,
    // What the transcoder, a route of ours or a script of ours says.
    when: "response.code_details.matches('grpc_json_transcode_failure|^direct_response|^lua_response')",
    message: "the request is malformed",
    verbatim: true,
  },
  { ...malformed, message: "the request is malformed" },
  { status: 401, ...unauthenticated },
  // A token for another audience is to us no better than none.
  { status: 403, when: detailed("jwt_authn"), sent: 401, ...unauthenticated },
  {
    status: 403,
    code: Code.PermissionDenied,
    reason: "NOT_ACCEPTED",
    message: "the page that this came from is not accepted here",
  },
  {
    status: 404,
    code: Code.Unimplemented,
    restCode: Code.NotFound,
    reason: "NO_SUCH_PATH",
    message: "there is nothing at this path",
  },
  {
    status: 405,
    code: Code.Unimplemented,
    reason: "METHOD_NOT_ALLOWED",
    message: "this method is not allowed here",
  },
  {
    status: 408,
    code: Code.DeadlineExceeded,
    reason: "TOO_SLOW",
    message: "the request took too long to arrive",
  },
  {
    status: 413,
    code: Code.ResourceExhausted,
    reason: "TOO_LARGE",
    message: "the request is larger than 64 KiB",
  },
  {
    status: 415,
    code: Code.Unimplemented,
    restCode: Code.InvalidArgument,
    reason: "NOT_JSON",
    message: "the content type must be application/json",
  },
  {
    status: 429,
    code: Code.ResourceExhausted,
    reason: "TOO_MANY_ATTEMPTS",
    message: "too many attempts: wait a minute, then try again",
    retryAfter: 60,
  },
  {
    status: 431,
    code: Code.ResourceExhausted,
    reason: "TOO_LARGE",
    message: "the headers are too large",
  },
  {
    status: 500,
    code: Code.Internal,
    reason: "INTERNAL",
    message: "something is broken on our side",
  },
  { status: 502, ...unavailable },
  { status: 503, ...unavailable },
  {
    status: 504,
    code: Code.DeadlineExceeded,
    reason: "TIMED_OUT",
    message: "the service took too long: look whether it was done before you try again",
  },
];
