import type { IncomingMessage } from "node:http";
import { Schema, type Connection } from "mongoose";
import type Stripe from "stripe";
import { sendJson, type HttpHandler } from "#runtime/http.ts";
import type { Log } from "#runtime/log.ts";
import { duplicateOf } from "#runtime/mongo.ts";
import type { Settler } from "./settler.ts";

interface WebhookFields {
  _id: string;
  type: string;
  orderId: string;
  receivedAt: Date;
}

const MONTH_SECONDS = 30 * 86_400;
const TOLERANCE_SECONDS = 300;
const LARGEST_BODY = 256 * 1024;

const schema = new Schema<WebhookFields>(
  {
    _id: { type: String, required: true },
    type: { type: String, required: true },
    orderId: { type: String, required: true },
    receivedAt: { type: Date, required: true, expires: MONTH_SECONDS },
  },
  { versionKey: false },
);

export const webhookModel = (db: Connection) => db.model("Webhook", schema, "webhooks");
export type Webhooks = ReturnType<typeof webhookModel>;

interface Deps {
  webhooks: Webhooks;
  stripe: Stripe;
  secret: string;
  settler: Pick<Settler, "ask">;
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

/** The order that an object of Stripe's belongs to; nothing where it is not ours. */
function orderOf({ data }: Stripe.Event): string | undefined {
  const { metadata } = data.object as { metadata?: Record<string, string> | null };
  return metadata?.["order_id"];
}

/**
 * Stripe's side of the story. An event is stored by its id before it is acknowledged, and is only a
 * reason to ask: what happened is read from the intent itself, because events come late, twice, out
 * of order, or never.
 */
export function stripeWebhook({ webhooks, stripe, secret, settler, log }: Deps): HttpHandler {
  return async (req, res) => {
    const body = await read(req);
    if (!body) {
      res.setHeader("connection", "close"); // Nobody reads the rest.
      return sendJson(res, 413, { message: "too large" });
    }
    let event: Stripe.Event;
    try {
      const signature = String(req.headers["stripe-signature"] ?? "");
      event = stripe.webhooks.constructEvent(body, signature, secret, TOLERANCE_SECONDS);
    } catch {
      log.warn("a webhook with a wrong signature was refused");
      return sendJson(res, 400, { message: "the signature is wrong or too old" });
    }
    const orderId = orderOf(event);
    if (orderId) {
      const received = { _id: event.id, type: event.type, orderId, receivedAt: new Date() };
      await webhooks.create(received).catch((error: unknown) => {
        if (!duplicateOf(error)) throw error;
      });
      settler.ask(orderId);
    }
    return sendJson(res, 200, { received: true });
  };
}
