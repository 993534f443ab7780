import type { DescMessage, DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import type { Target } from "../load/load.ts";

type Codec = "json" | "proto";
type Unary = DescMethodUnary<DescMessage, DescMessage>;

/** Who sends a request: the access token, and the address that the storefront would pass on. */
export interface Sender {
  readonly token?: string;
  readonly address?: string;
  /** Whether compressed responses are accepted. */
  readonly acceptsGzip?: boolean;
}

const headersOf = ({ token, address, acceptsGzip }: Sender): Record<string, string> => ({
  ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  ...(address === undefined ? {} : { "x-forwarded-for": address }),
  ...(acceptsGzip ? { "accept-encoding": "gzip" } : {}),
});

/** A call by the Connect protocol, as the storefront and browsers make it. */
export function connectCall<M extends Unary>(
  url: string,
  method: M,
  request: MessageInitShape<M["input"]>,
  sender: Sender = {},
  codec: Codec = "json",
): Target {
  const message = create(method.input as DescMessage, request as never);
  return {
    method: "POST",
    url: `${url}/${method.parent.typeName}/${method.name}`,
    headers: { ...headersOf(sender), "content-type": `application/${codec}` },
    body:
      codec === "proto"
        ? toBinary(method.input, message)
        : Buffer.from(toJsonString(method.input, message)),
  };
}

/** A request for a REST path or for a page. */
export const getRequest = (url: string, sender: Sender = {}): Target => ({
  method: "GET",
  url,
  headers: headersOf(sender),
});

/** An address from the range for documentation, one for each buyer: limits count by network. */
export const addressOf = (index: number): string => `10.${(index >> 8) & 255}.${index & 255}.7`;
