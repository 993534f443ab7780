import type { IncomingMessage } from "node:http";
import type Stripe from "stripe";
import { sendJson, type HttpHandler } from "#runtime/lifecycle/http.ts";
import type { Log } from "#runtime/log.ts";
import { isDatabaseFault } from "#runtime/store/database.ts";
import { storeWebhook, type WebhookListener } from "./webhook-inbox.ts";
import type { Webhooks } from "./webhook.ts";

const SIGNATURE_TOLERANCE_SECONDS = 300;
const MAX_BODY_BYTES = 256 * 1024;

export interface WebhookDeps {
  webhooks: Webhooks;
  stripe: Stripe;
  /** An event may be signed with any of them: each endpoint has its own, and two while one is rolled. */
  secrets: readonly string[];
  listeners: readonly WebhookListener[];
  log: Log;
}

/** The body; undefined if it is too large, whatever its Content-Length says. */
async function read(req: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The event in a body, if it has a recent signature by one of the secrets. */
function signedEvent(
  stripe: Stripe,
  body: Buffer,
  signature: string,
  secrets: readonly string[],
): Stripe.Event | undefined {
  for (const secret of secrets) {
    try {
      return stripe.webhooks.constructEvent(body, signature, secret, SIGNATURE_TOLERANCE_SECONDS);
    } catch {
      // Another secret may match.
    }
  }
  return undefined;
}

/**
 * Receives Stripe's webhooks. An event is stored by its id before it is acknowledged, and only leads to
 * a poll: the state is read from the object itself, because events may come late, twice, out of order
 * or not at all.
 */
export function stripeWebhook({
  webhooks,
  stripe,
  secrets,
  listeners,
  log,
}: WebhookDeps): HttpHandler {
  return async (req, res) => {
    const body = await read(req);
    if (!body) {
      res.setHeader("connection", "close"); // The rest of the body is not read.
      return sendJson(res, 413, { message: "too large" });
    }
    const signature = String(req.headers["stripe-signature"] ?? "");
    const event = signedEvent(stripe, body, signature, secrets);
    if (!event) {
      log.warn("a webhook with an invalid signature was refused");
      return sendJson(res, 400, { message: "the signature is wrong or too old" });
    }
    try {
      if (!(await storeWebhook({ webhooks, listeners }, event))) {
        log.error(
          { alarm: true },
          "a signed webhook is not an event of Stripe's; the signing secret may have leaked, so roll it",
        );
        return sendJson(res, 400, { message: "this is no event" });
      }
    } catch (error) {
      if (!isDatabaseFault(error)) throw error;
      log.warn({ eventId: event.id }, "a webhook could not be stored; Stripe retries it");
      return sendJson(res, 503, { message: "try again later" });
    }
    return sendJson(res, 200, { received: true });
  };
}
