import type { ErrorResponse } from "./error-responses.ts";

// The parts of Envoy's `LocalReplyConfig`.

/** The part of a `ResponseMapper` that depends on the protocol. */
export interface ReplyFormat {
  readonly headers_to_add?: readonly object[];
  readonly status_code?: number;
  readonly body_format_override?: object;
}

export const OVERWRITE = "OVERWRITE_IF_EXISTS_OR_ADD";

export const header = ([key, value]: readonly [string, string], append_action: string): object => ({
  header: { key, value },
  append_action,
});

/** A body format of exactly this text. */
export const text = (format: string) => ({ text_format_source: { inline_string: format } });

const CEL_FILTER =
  "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter";

/** A `ResponseMapper` for the requests of one protocol that end with this error response. */
export function mapper(
  protocolExpression: string,
  response: Partial<ErrorResponse>,
  format: ReplyFormat,
): object {
  const { status, when, sent, retryAfter } = response;
  const { headers_to_add = [], ...rest } = format;
  const statusExpression = status === undefined ? "" : `response.code == ${status}`;
  const expression = [statusExpression, when, protocolExpression].filter(Boolean).join(" && ");
  const typed_config = { "@type": CEL_FILTER, expression };
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
