import { Code } from "@connectrpc/connect";

// The requests that the edge itself rejects. Each has the reason that a service gives for the same
// problem, in every protocol: docs/decisions/0032-one-reason-in-every-protocol.md.

export interface ErrorResponse {
  /** The status of Envoy's local reply. */
  readonly status: number;
  /** A CEL expression that selects some of the local replies with that status. */
  readonly when?: string;
  /** The status that is sent instead. */
  readonly sent?: number;
  readonly code: Code;
  /** The code in REST, if it differs. */
  readonly restCode?: Code;
  readonly reason: string;
  readonly message: string;
  /** In REST, Envoy's own message is more precise than ours. */
  readonly verbatim?: boolean;
  /** The number of seconds after which the same call may succeed. */
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
const detailsStartWith = (prefix: string) => `response.code_details.startsWith('${prefix}')`;

/** The first match applies. */
export const errorResponses: readonly ErrorResponse[] = [
  {
    ...malformed,
    when: detailsStartWith("path_normalization"),
    // The path names the method, so to an RPC client the method does not exist.
    code: Code.Unimplemented,
    restCode: Code.InvalidArgument,
    message: "the path is malformed: it must not hide slashes or dots behind percent signs",
  },
  {
    ...malformed,
    // The transcoder, a route or a Lua script has rejected it.
    when: "response.code_details.matches('grpc_json_transcode_failure|^direct_response|^lua_response')",
    message: "the request is malformed",
    verbatim: true,
  },
  { ...malformed, message: "the request is malformed" },
  { status: 401, ...unauthenticated },
  // A token for another audience counts as no token.
  { status: 403, when: detailsStartWith("jwt_authn"), sent: 401, ...unauthenticated },
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
    when: "('call' in metadata.filter_metadata && metadata.filter_metadata['call']['class'] in ['attempt', 'hold'])",
    code: Code.ResourceExhausted,
    reason: "TOO_MANY_ATTEMPTS",
    message: "too many attempts: wait a minute, then try again",
    retryAfter: 60,
  },
  {
    status: 429,
    code: Code.ResourceExhausted,
    reason: "TOO_MANY_REQUESTS",
    message: "too many requests at once: slow down, and try again in a moment",
    retryAfter: 1,
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
  {
    // More calls are in flight than the service may have.
    status: 503,
    when: "response.code_details.endsWith('{overflow}')",
    sent: 429,
    code: Code.ResourceExhausted,
    reason: "OVERLOADED",
    message: "too many requests at once: try again in a moment",
    retryAfter: 1,
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
