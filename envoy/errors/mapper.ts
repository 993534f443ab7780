import { byResponse } from "./cel.ts";

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

/** A body of JSON that a format string yields. */
export const json = (format: string) => ({ ...text(format), content_type: "application/json" });

const CEL_FILTER =
  "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter";

/** A `ResponseMapper` for the replies that a CEL expression selects, of which `choose` yields the parts. */
export function mapper(expression: string, format: ReplyFormat, choose = byResponse): object {
  const { headers_to_add = [], ...rest } = format;
  // Empty without a time to wait: then Envoy adds no header.
  const retryAfter = choose((response) => String(response.retryAfter ?? ""));
  const typed_config = { "@type": CEL_FILTER, expression };
  return {
    filter: { extension_filter: { name: "cel", typed_config } },
    ...rest,
    headers_to_add: [
      header(["cache-control", "no-store"], OVERWRITE),
      ...(retryAfter === "" ? [] : [header(["retry-after", retryAfter], "ADD_IF_ABSENT")]),
      ...headers_to_add,
    ],
  };
}
