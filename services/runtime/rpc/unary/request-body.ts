import type { ServerHttp2Stream } from "node:http2";
import { base64Decode } from "@bufbuild/protobuf/wire";

/** The time for a client that is still sending to read the refusal. */
const GRACE_MS = 1_000;
const FRAME_HEADER = 5;

/** The message of a Connect GET, or undefined if only the library can read it. */
export function messageOf(query: URLSearchParams): Buffer | undefined {
  if (query.has("compression")) return undefined;
  const message = query.get("message") ?? "";
  if (query.get("base64") !== "1") return Buffer.from(message);
  return /^[\w+/-]*={0,2}$/.test(message) ? Buffer.from(base64Decode(message)) : undefined;
}

/** Reads a body. One that is larger than a message may be is passed on as far as it was read. */
export function readBody(
  stream: ServerHttp2Stream,
  readMaxBytes: number,
  done: (body: Buffer) => void,
): void {
  const chunks: Buffer[] = [];
  const most = readMaxBytes + FRAME_HEADER;
  let size = 0;
  let isDone = false;
  const finish = (): void => {
    if (isDone) return;
    isDone = true;
    done(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
  };
  stream.on("data", (chunk: Buffer) => {
    if (isDone) return; // The rest of a refused request.
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size <= most) return;
    finish();
    chunks.length = 0;
    stream.once("finish", () => closeLater(stream));
  });
  // A client that resets the stream ends the body too: what has arrived is not its request.
  stream.on("end", () => {
    if (!stream.closed && !stream.aborted) finish();
  });
}

/** Ends a refused request that is still being sent; some clients never end one. */
function closeLater(stream: ServerHttp2Stream): void {
  // Not immediately: a client that is still sending would miss the response.
  setTimeout(() => {
    if (!stream.destroyed) stream.close();
  }, GRACE_MS).unref();
}
