import type { DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import {
  createMethodSerializationLookup,
  type UniversalHandlerOptions,
} from "@connectrpc/connect/protocol";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import type { Format } from "./format.ts";

const FRAME_HEADER = 5;

/** The bytes of a message by codec, as far as they were needed. */
interface Encoded {
  binary?: Uint8Array;
  json?: Uint8Array;
}

const encoded = new WeakMap<Message, Encoded>();

/**
 * Declares that a response never changes again. It is encoded once for each codec, and a handler can return
 * the same message many times. The bytes live as long as the message.
 */
export function immutable<M extends Message>(message: M): M {
  encoded.set(message, {});
  return message;
}

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
    encode({ binary }: Format, message: Message): Uint8Array {
      const known = encoded.get(message);
      if (!known) return lookup.getO(binary).serialize(message);
      return (known[binary ? "binary" : "json"] ??= lookup.getO(binary).serialize(message));
    },
  };
}
export type MethodCodec = ReturnType<typeof methodCodec>;
