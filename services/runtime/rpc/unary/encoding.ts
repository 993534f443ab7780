import { hash } from "node:crypto";
import { constants, gzipSync } from "node:zlib";
import type { DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import {
  createMethodSerializationLookup,
  type UniversalHandlerOptions,
} from "@connectrpc/connect/protocol";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import type { Format } from "./format.ts";

const FRAME_HEADER = 5;

/** The bytes of a message, the same bytes compressed, and their entity tag, as far as they were needed. */
export interface Encoded {
  plain: Uint8Array;
  gzip?: Uint8Array;
  etag?: string;
}

const encoded = new WeakMap<Message, { binary?: Encoded; json?: Encoded }>();

/**
 * Declares that a response never changes again. It is encoded and compressed once for each codec, and a
 * handler can return the same message many times. The bytes live as long as the message.
 */
export function immutable<M extends Message>(message: M): M {
  encoded.set(message, {});
  return message;
}

/** Smaller responses are not compressed. The edge has the same limit: envoy.yaml, min_content_length. */
const MIN_COMPRESSED = 1_024;
/** As at the edge, which compresses all other responses. */
const LEVEL = constants.Z_BEST_SPEED;

/** An encoded response. */
export interface Body {
  bytes: Uint8Array;
  /** Whether the bytes are compressed with gzip. */
  isCompressed?: boolean;
  /** What is kept of an immutable message. */
  encoded?: Encoded;
}

/** A weak entity tag (RFC 9110, 8.8.3): the same for compressed bytes. */
export const etagOf = (kept: Encoded): string =>
  (kept.etag ??= `W/"${hash("sha1", kept.plain, "base64url")}"`);

/** A gRPC frame: no compression, the length, the message. */
export function toFrame(flags: number, bytes: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER + bytes.byteLength);
  frame.writeUInt8(flags, 0);
  frame.writeUInt32BE(bytes.byteLength, 1);
  frame.set(bytes, FRAME_HEADER);
  return frame;
}

/** The message of a body that is exactly one uncompressed frame, or undefined. */
function fromFrame(body: Buffer): Buffer | undefined {
  const isOne =
    body.byteLength >= FRAME_HEADER &&
    body[0] === 0 &&
    body.readUInt32BE(1) === body.byteLength - FRAME_HEADER;
  return isOne ? body.subarray(FRAME_HEADER) : undefined;
}

export type Limits = Pick<UniversalHandlerOptions, "readMaxBytes" | "writeMaxBytes">;

/** Decodes the requests of a method and encodes its responses. */
export function methodCodec(
  method: DescMethodUnary,
  jsonOptions: UniversalHandlerOptions["jsonOptions"],
  limits: Limits,
) {
  const lookup = createMethodSerializationLookup(method, undefined, jsonOptions, limits);
  return {
    /** Throws if the body is not exactly one message. */
    decode({ protocolName, binary }: Format, body: Buffer): Message {
      const bytes = protocolName === "connect" ? body : fromFrame(body);
      if (!bytes) throw new Error("not one frame");
      return lookup.getI(binary).parse(bytes);
    },
    encodeError: (error: ConnectError): Uint8Array => errorToJsonBytes(error, jsonOptions),
    /** An immutable message is compressed for a client that accepts gzip. */
    encode({ binary }: Format, message: Message, acceptsGzip: boolean): Body {
      const known = encoded.get(message);
      if (!known) return { bytes: lookup.getO(binary).serialize(message) };
      const ready = (known[binary ? "binary" : "json"] ??= {
        plain: lookup.getO(binary).serialize(message),
      });
      if (!acceptsGzip || ready.plain.byteLength < MIN_COMPRESSED) {
        return { bytes: ready.plain, encoded: ready };
      }
      ready.gzip ??= gzipSync(ready.plain, { level: LEVEL });
      return { bytes: ready.gzip, isCompressed: true, encoded: ready };
    },
  };
}
export type MethodCodec = ReturnType<typeof methodCodec>;
