import { errorBody, StripeError } from "../objects/errors.ts";
import { broken, type Faults } from "../requests/faults.ts";
import { fingerprint, type IdempotencyKeys } from "../requests/idempotency.ts";
import type { Journal } from "../store/journal.ts";
import { newId, now } from "../objects/objects.ts";
import { parseForm } from "../requests/params.ts";
import { run } from "./routes.ts";
import { Unit } from "../store/unit.ts";
import type { Webhooks } from "../store/webhooks.ts";

/** The dependencies of the API. */
export interface Parts {
  journal: Journal;
  faults: Faults;
  keys: IdempotencyKeys;
  webhooks: Webhooks | undefined;
  secretKey: string;
}

/** A request to the API with its whole body. */
export interface Request {
  method: string;
  url: URL;
  body: string;
  authorization: string | undefined;
  idempotencyKey: string | undefined;
  base: string;
}

/** A response of the API. A dropped response is not sent. */
export interface Reply {
  status: number;
  body: unknown;
  headers: Record<string, string>;
  dropped?: boolean;
}

/** Responds to a request. If its idempotency key was used before, repeats the stored response. */
export async function answer(parts: Parts, request: Request): Promise<Reply> {
  const requestId = newId("req");
  try {
    authenticate(parts.secretKey, request.authorization);
    return await once(parts, request, requestId);
  } catch (error) {
    return { ...failure(error), headers: { "request-id": requestId } };
  }
}

async function once(parts: Parts, request: Request, requestId: string): Promise<Reply> {
  const { method, url } = request;
  const form = parseForm(method === "POST" ? request.body : url.search.slice(1));
  const print = fingerprint(method, url.pathname, form);
  const key = method === "POST" ? request.idempotencyKey : undefined;
  const headers = key === undefined ? {} : { "idempotency-key": key };
  const fault = parts.faults.meet(method, url.pathname);
  const reply = ({ status, body }: Done, more: Record<string, string> = {}): Reply => ({
    status,
    body,
    headers: { "request-id": requestId, ...headers, ...more },
    dropped: fault?.drop ?? false,
  });

  const kept = key === undefined ? undefined : parts.keys.take(key, print);
  if (kept) {
    return reply(kept, { "idempotent-replayed": "true", "original-request": kept.request_id });
  }
  const origin = { id: requestId, idempotency_key: key ?? null };
  const unit = new Unit(parts.journal, parts.webhooks, origin);
  try {
    if (fault) await parts.faults.suffer(fault);
    const body = run(method, url.pathname, form, {
      unit,
      base: request.base,
      webhooks: parts.webhooks,
    });
    if (fault?.late) throw broken(fault.fail, "declined");
    return reply(end({ status: 200, body }));
  } catch (error) {
    const outcome = error instanceof StripeError ? error.outcome : "refused";
    if (outcome !== "declined") unit.undo();
    const done = failure(error);
    return reply(outcome === "invalid" ? done : end(done));
  } finally {
    if (key !== undefined) parts.keys.release(key);
  }

  /** Writes the changes and the response under the key together, and then sends the events. */
  function end(done: Done): Done {
    if (key !== undefined) {
      const answered = { created: now(), request: print, request_id: requestId };
      unit.put({ id: key, object: "answer", ...answered, ...done });
    }
    unit.commit();
    return done;
  }
}

interface Done {
  status: number;
  body: unknown;
}

function failure(error: unknown): Done {
  if (error instanceof StripeError) return { status: error.status, body: errorBody(error.body) };
  console.error(error);
  return {
    status: 500,
    body: errorBody({ type: "api_error", message: "An unknown error occurred." }),
  };
}

/** The secret key: a bearer token, or the user name of basic authentication without a password. */
function authenticate(secretKey: string, authorization = ""): void {
  const [scheme = "", credentials = ""] = authorization.split(" ");
  const decoded = Buffer.from(credentials, "base64").toString().replace(/:.*$/, "");
  const key = { bearer: credentials, basic: decoded }[scheme.toLowerCase()];
  if (key === secretKey) return;
  const message = key
    ? `Invalid API Key provided: ${key.slice(0, 8)}****`
    : "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').";
  throw new StripeError(401, { type: "invalid_request_error", message }, "invalid");
}
