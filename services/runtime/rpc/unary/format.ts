import type { IncomingHttpHeaders } from "node:http2";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";

/** A protocol and a codec. */
export interface Format {
  protocolName: "connect" | "grpc" | "grpc-web";
  binary: boolean;
  /** The content type of a response. */
  contentType: string;
}

const connect = (binary: boolean): Format => ({
  protocolName: "connect",
  binary,
  contentType: binary ? "application/proto" : "application/json",
});
const grpc: Format = {
  protocolName: "grpc",
  binary: true,
  contentType: "application/grpc+proto",
};
const grpcWeb: Format = {
  protocolName: "grpc-web",
  binary: true,
  contentType: "application/grpc-web+proto",
};

const postFormats = new Map<string, Format>([
  ["application/json", connect(false)],
  ["application/proto", connect(true)],
  ["application/grpc", grpc],
  ["application/grpc+proto", grpc],
  ["application/grpc-web", grpcWeb],
  ["application/grpc-web+proto", grpcWeb],
]);

/** The formats of a Connect GET, by the parameter `encoding`. */
export const getFormats = new Map<string | null, Format>([
  ["json", connect(false)],
  ["proto", connect(true)],
]);

const isIdentity = (encoding: string | string[] | undefined): boolean =>
  encoding === undefined || encoding === "identity";

/**
 * Whether a client of Connect accepts gzip, which in this protocol is a matter of HTTP. Weights are left to
 * the edge.
 */
export const acceptsGzip = ({ protocolName }: Format, accepted: string | null): boolean =>
  protocolName === "connect" &&
  accepted !== null &&
  accepted.split(",").some((name) => name.trim() === "gzip");

/** The format of a POST, or undefined for one that only the library supports. */
export const postFormat = (headers: IncomingHttpHeaders): Format | undefined =>
  isIdentity(headers["grpc-encoding"]) ? postFormats.get(headers["content-type"] ?? "") : undefined;

/** Whether a request has no header that only the library supports. */
export function isPlainRequest(headers: IncomingHttpHeaders, readMaxBytes: number): boolean {
  const authority = headers[":authority"] ?? headers.host;
  return (
    authority !== undefined &&
    URL.canParse(`http://${authority}`) &&
    isIdentity(headers["content-encoding"]) &&
    headers.expect === undefined &&
    Number(headers["content-length"] ?? 0) <= readMaxBytes
  );
}

/** The client's timeout in milliseconds, or an error if it is malformed or too long. */
export function timeoutOf(
  { protocolName }: Format,
  headers: IncomingHttpHeaders,
  maxTimeoutMs: number,
): { timeoutMs?: number | undefined; error?: Error | undefined } {
  const isConnect = protocolName === "connect";
  const given = headers[isConnect ? "connect-timeout-ms" : "grpc-timeout"];
  if (given === undefined) return {};
  return (isConnect ? parseConnectTimeout : parseGrpcTimeout)(String(given), maxTimeoutMs);
}
