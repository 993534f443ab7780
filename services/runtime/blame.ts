import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";

// The library calls a request that cannot be decoded INTERNAL, as if we had broken. It decodes before
// any interceptor runs, so its answer is put right here, in each protocol's own form.

const BLAMED = "parse binary:";
const INTERNAL = "13";
const INVALID_ARGUMENT = "3";
const TRAILER_FRAME = 0x80;

type Body = AsyncIterable<Uint8Array>;

const saysSo = (trailer: Headers): boolean =>
  trailer.get("grpc-status") === INTERNAL &&
  decodeURIComponent(trailer.get("grpc-message") ?? "").startsWith(BLAMED);

/** gRPC: the trailers are complete once the body is at its end. */
async function* mendTrailers(body: Body, trailer: Headers): Body {
  yield* body;
  if (saysSo(trailer)) {
    trailer.set("grpc-status", INVALID_ARGUMENT);
    trailer.delete("grpc-status-details-bin");
  }
}

/** gRPC-Web: the trailers are the last frame of the body. */
async function* mendFrames(body: Body): Body {
  for await (const chunk of body) yield chunk[0] === TRAILER_FRAME ? mendFrame(chunk) : chunk;
}

function mendFrame(frame: Uint8Array): Uint8Array {
  const lines = Buffer.from(frame.subarray(5)).toString().split("\r\n").filter(Boolean);
  const pairs = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  if (!saysSo(new Headers(pairs))) return frame;
  const kept = pairs.filter(([name]) => name.toLowerCase() !== "grpc-status-details-bin");
  const text = kept
    .map(
      ([name, value]) =>
        `${name}: ${name.toLowerCase() === "grpc-status" ? INVALID_ARGUMENT : value}\r\n`,
    )
    .join("");
  const mended = Buffer.alloc(5 + Buffer.byteLength(text));
  mended.writeUInt8(TRAILER_FRAME, 0);
  mended.writeUInt32BE(Buffer.byteLength(text), 1);
  mended.write(text, 5);
  return mended;
}

/** Connect: the whole answer is a JSON error. */
async function mendError(
  response: UniversalServerResponse,
  body: Body,
): Promise<UniversalServerResponse> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const asBefore = { ...response, body: once(bytes) };
  if (response.header?.has("content-encoding")) return asBefore;
  const error = JSON.parse(bytes.toString()) as { code: string; message?: string };
  if (!error.message?.startsWith(BLAMED)) return asBefore;
  const told = Buffer.from(JSON.stringify({ ...error, code: "invalid_argument" }));
  response.header?.set("content-length", String(told.byteLength));
  return { ...response, status: 400, body: once(told) };
}

async function* once(bytes: Uint8Array): Body {
  yield bytes;
}

async function mend(response: UniversalServerResponse): Promise<UniversalServerResponse> {
  const { body, header, trailer, status } = response;
  if (!body) return response;
  const type = header?.get("content-type") ?? "";
  if (type.startsWith("application/grpc-web")) return { ...response, body: mendFrames(body) };
  if (type.startsWith("application/grpc") && trailer) {
    return { ...response, body: mendTrailers(body, trailer) };
  }
  return status === 500 ? mendError(response, body) : response;
}

/** A GET whose message is not the base64 that it says it is; the library breaks on it. */
function isGarbled({ method, url }: UniversalServerRequest): boolean {
  if (method !== "GET") return false;
  const { searchParams } = new URL(url);
  return (
    searchParams.get("base64") === "1" &&
    !/^[\w+/-]*={0,2}$/.test(searchParams.get("message") ?? "")
  );
}

const garbled = (): UniversalServerResponse => ({
  status: 400,
  header: new Headers({ "content-type": "application/json" }),
  body: once(
    Buffer.from(JSON.stringify({ code: "invalid_argument", message: "the message is not base64" })),
  ),
});

/** A request that cannot be decoded is its sender's mistake: INVALID_ARGUMENT, not INTERNAL. */
export const blameTheSender = (handler: UniversalHandler): UniversalHandler =>
  Object.assign(
    async (req: UniversalServerRequest) => (isGarbled(req) ? garbled() : mend(await handler(req))),
    handler,
  );
