import type { IncomingMessage } from "node:http";
import type Stripe from "stripe";
import { sendJson, type HttpHandler } from "#runtime/http.ts";
import type { Log } from "#runtime/log.ts";
import { isDatabaseFault } from "#runtime/store/database.ts";
import { storeWebhook, type WebhookListener, type Webhooks } from "./webhooks.ts";

const TOLERANCE_SECONDS = 300;
const LARGEST_BODY = 256 * 1024;

interface Deps {
  webhooks: Webhooks;
  stripe: Stripe;
  /** Any of which an event may be signed with: each endpoint has its own, and two while one is replaced. */
  secrets: readonly string[];
  listeners: readonly WebhookListener[];
  log: Log;
}

/** The body, or undefined of one that is too large, whatever its headers say. */
async function read(req: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > LARGEST_BODY) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The event in a body, if it was signed with one of the secrets of late. */
function signedEvent(
  stripe: Stripe,
  body: Buffer,
  signature: string,
  secrets: readonly string[],
): Stripe.Event | undefined {
  for (const secret of secrets) {
    try {
      return stripe.webhooks.constructEvent(body, signature, secret, TOLERANCE_SECONDS);
    } catch {
      // With another one, perhaps.
    }
  }
  return undefined;
}

/**
 * Stripe's side of the story. An event is stored by its id before it is acknowledged, and is only a
 * reason to ask: what happened is read from the thing itself, because events come late, twice, out
 * of order, or never.
 */
export function stripeWebhook({ webhooks, stripe, secrets, listeners, log }: Deps): HttpHandler {
  return async (req, res) => {
    const body = await read(req);
    if (!body) {
      res.setHeader("connection", "close"); // Nobody reads the rest.
      return sendJson(res, 413, { message: "too large" });
    }
    const signature = String(req.headers["stripe-signature"] ?? "");
    const event = signedEvent(stripe, body, signature, secrets);
    if (!event) {
      log.warn("a webhook with a wrong signature was refused");
      return sendJson(res, 400, { message: "the signature is wrong or too old" });
    }
    try {
      if (!(await storeWebhook({ webhooks, listeners }, event))) {
        log.error({ alarm: true }, "a signed webhook is no event of Stripe's; who has the secret?");
        return sendJson(res, 400, { message: "this is no event" });
      }
    } catch (error) {
      if (!isDatabaseFault(error)) throw error;
      log.warn({ eventId: event.id }, "a webhook could not be stored; Stripe sends it again");
      return sendJson(res, 503, { message: "try again later" });
    }
    return sendJson(res, 200, { received: true });
  };
}
