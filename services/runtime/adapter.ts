import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import type { Log } from "./log.ts";

// In place of `connectNodeAdapter`, which reads a request outside of any promise: an authority that is
// no address would be an uncaught exception there, and end the process. It also leaves a stream open
// for ever when a handler fails without an answer.

type Listener = (req: Http2ServerRequest, res: Http2ServerResponse) => void;

/** The stream ends with it where an answer has begun that cannot be finished. */
const INTERNAL_ERROR = 2;

/** A request of which no handler can be told. */
class Unreadable extends Error {}

const unreadable = { status: 400, code: Code.InvalidArgument, word: "invalid_argument" };
const broken = { status: 500, code: Code.Internal, word: "internal" };

function read(req: Http2ServerRequest, res: Http2ServerResponse): UniversalServerRequest {
  try {
    return universalRequestFromNodeRequest(req, res, undefined, undefined);
  } catch (cause) {
    throw new Unreadable("the request cannot be read", { cause });
  }
}

/** An answer from outside of any handler, in the words of the protocol that was asked in. */
function refuse(req: Http2ServerRequest, res: Http2ServerResponse, error: unknown): void {
  if (res.headersSent) return res.stream.close(INTERNAL_ERROR);
  const { status, code, word } = error instanceof Unreadable ? unreadable : broken;
  const message = error instanceof Unreadable ? error.message : "internal error";
  if (req.headers["content-type"]?.startsWith("application/grpc")) {
    const type = { "content-type": "application/grpc" };
    res.writeHead(status, { ...type, "grpc-status": code, "grpc-message": message }).end();
  } else {
    const type = { "content-type": "application/json" };
    res.writeHead(status, type).end(JSON.stringify({ code: word, message }));
  }
}

/** Answers the requests of a server by the handlers of a router. Nothing that is sent makes it throw. */
export function requestListener(router: ConnectRouter, log: Log): Listener {
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  async function answer(req: Http2ServerRequest, res: Http2ServerResponse): Promise<void> {
    const handler = handlers.get(req.url?.split("?", 1)[0] ?? "");
    if (!handler) return void res.writeHead(404).end();
    const response = await handler(read(req, res));
    await universalResponseToNodeResponse(response, res);
  }

  function fail(req: Http2ServerRequest, res: Http2ServerResponse, error: unknown): void {
    if (ConnectError.from(error).code === Code.Aborted) return; // The client has gone.
    if (error instanceof Unreadable) log.debug({ err: error.cause }, error.message);
    else log.error({ err: error }, "a call failed outside of its handler");
    refuse(req, res, error);
  }

  return (req, res) => {
    answer(req, res)
      .catch((error: unknown) => fail(req, res, error))
      .catch((err: unknown) => {
        log.error({ err }, "a refusal could not be sent");
        res.stream.destroy();
      });
  };
}
