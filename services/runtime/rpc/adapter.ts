import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { isOwnContract } from "./decode-errors.ts";
import { CallError } from "../errors.ts";
import { toWireError } from "./errors.ts";
import type { Log } from "../log.ts";

// Replaces `connectNodeAdapter`. That adapter parses a request outside a promise: an invalid authority would
// be an uncaught exception and end the process. It also leaves a stream open when a handler fails without a
// response.

type Listener = (req: Http2ServerRequest, res: Http2ServerResponse) => void;

/** The HTTP/2 error code of a stream whose response has started and cannot be completed. */
const INTERNAL_ERROR = 2;

/** A malformed request, which cannot be passed to a handler. */
class Unreadable extends Error {}

function read(req: Http2ServerRequest, res: Http2ServerResponse): UniversalServerRequest {
  try {
    return universalRequestFromNodeRequest(req, res, undefined, undefined);
  } catch (cause) {
    throw new Unreadable("the request cannot be read", { cause });
  }
}

function noSuchPath(path: string): ConnectError {
  const message = "there is nothing at this path";
  if (isOwnContract(path)) return toWireError(new CallError("NO_SUCH_PATH", message));
  return new ConnectError(message, Code.Unimplemented);
}

/** A response without a handler, in the protocol of the request. */
function refuse(
  req: Http2ServerRequest,
  res: Http2ServerResponse,
  status: number,
  error: ConnectError,
): void {
  if (res.headersSent) return res.stream.close(INTERNAL_ERROR);
  const type = req.headers["content-type"] ?? "";
  if (type.startsWith("application/grpc")) {
    const headers = setTrailerStatus(new Headers({ "content-type": type }), error);
    res.writeHead(status, Object.fromEntries(headers)).end();
  } else {
    res.writeHead(status, { "content-type": "application/json" }).end(errorToJsonBytes(error, {}));
  }
}

/** Serves the requests of a server with the handlers of a router. No request makes it throw. */
export function requestListener(router: ConnectRouter, log: Log): Listener {
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  async function answer(req: Http2ServerRequest, res: Http2ServerResponse): Promise<void> {
    const path = req.url?.split("?", 1)[0] ?? "";
    const handler = handlers.get(path);
    if (!handler) return refuse(req, res, 404, noSuchPath(path));
    const response = await handler(read(req, res));
    if (response.status === 405) res.setHeader("allow", handler.allowedMethods.join(", "));
    await universalResponseToNodeResponse(response, res);
  }

  function fail(req: Http2ServerRequest, res: Http2ServerResponse, error: unknown): void {
    if (ConnectError.from(error).code === Code.Aborted) return; // The client has disconnected.
    if (error instanceof Unreadable) {
      log.debug({ err: error.cause }, error.message);
      return refuse(req, res, 400, toWireError(new CallError("MALFORMED_REQUEST", error.message)));
    }
    log.error({ err: error }, "a call failed outside of its handler");
    refuse(req, res, 500, new ConnectError("internal error", Code.Internal));
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
