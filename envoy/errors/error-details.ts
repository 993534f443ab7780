import { create, type DescMessage, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "@ticketing/proto/google/rpc/error_details";
import type { ErrorResponse } from "./error-responses.ts";

interface ErrorDetail {
  readonly desc: DescMessage;
  readonly value: Message;
}

const detail = <D extends DescMessage>(desc: D, value: MessageInitShape<D>): ErrorDetail => ({
  desc,
  value: create(desc, value),
});

/** The details of `google.rpc.Status`: the reason, and when to retry. */
export function detailsOf({
  reason,
  retryAfter,
}: Pick<ErrorResponse, "reason" | "retryAfter">): ErrorDetail[] {
  const info = detail(ErrorInfoSchema, { reason, domain: "ticketing" });
  if (retryAfter === undefined) return [info];
  return [info, detail(RetryInfoSchema, { retryDelay: { seconds: BigInt(retryAfter) } })];
}

export const toConnectError = (response: ErrorResponse): ConnectError =>
  Object.assign(new ConnectError(response.message, response.code), {
    details: detailsOf(response),
  });
