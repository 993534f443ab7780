import { Schema, type Connection } from "mongoose";
import type Stripe from "stripe";
import type { Payments } from "./payment.ts";
import type { Settler } from "./settler.ts";
import { WEBHOOK_EVENTS } from "./webhook-events.ts";

/** An event of Stripe's, stored before it is acknowledged. */
export interface WebhookFields {
  /** Stripe's id of it. */
  _id: string;
  type: string;
  /** Our id of what it is about. */
  subject: string;
  receivedAt: Date;
  /** When what it made us ask for was stored; absent before. */
  handledAt?: Date;
}

const MONTH_SECONDS = 30 * 86_400;

const schema = new Schema<WebhookFields>(
  {
    _id: { type: String, required: true },
    type: { type: String, required: true },
    subject: { type: String, required: true },
    receivedAt: { type: Date, required: true, expires: MONTH_SECONDS },
    handledAt: { type: Date, index: true },
  },
  { versionKey: false },
);

export const webhookModel = (db: Connection) => db.model("Webhook", schema, "webhooks");
export type Webhooks = ReturnType<typeof webhookModel>;

/** Somebody who looks at Stripe when it says that something has happened. */
export interface Listener {
  /** Whether events of this type are for them. */
  hears: (type: string) => boolean;
  /** What it is about, by our id of it; nothing where it is not ours. */
  subjectOf: (event: Stripe.Event) => Promise<string | undefined>;
  /** Looks at that, later; once what Stripe answers is stored, the event is `handled`. */
  ask: (subject: string, eventId: string) => void;
}

/** What these events made us ask for is stored. */
export const handled = (webhooks: Webhooks, eventIds: readonly string[]): Promise<unknown> =>
  webhooks.updateMany({ _id: { $in: eventIds } }, { handledAt: new Date() });

/** Asks again because of the events that a crash, or a fault of Stripe's, has left. */
export async function askAgain(webhooks: Webhooks, listeners: readonly Listener[]): Promise<void> {
  const left = webhooks.find({ handledAt: null }).lean<WebhookFields[]>().cursor();
  for await (const { _id, type, subject } of left as AsyncIterable<WebhookFields>) {
    listeners.find(({ hears }) => hears(type))?.ask(subject, _id);
  }
}

const needed: ReadonlySet<string> = new Set(WEBHOOK_EVENTS);

/**
 * Whatever happens to intents, and to their charges, refunds and disputes. What was made on Stripe's own
 * pages has not our metadata, and is found by its intent.
 */
export const paymentListener = (payments: Payments, settler: Pick<Settler, "ask">): Listener => ({
  hears: (type) => needed.has(type) && !type.startsWith("account."),
  async subjectOf({ data }) {
    const object = data.object as {
      metadata?: Record<string, string> | null;
      payment_intent?: string | null;
    };
    const orderId = object.metadata?.["order_id"];
    if (orderId || !object.payment_intent) return orderId;
    const found = await payments.findOne(
      { "attempts.stripeId": object.payment_intent },
      { _id: 1 },
    );
    return found?._id;
  },
  ask: settler.ask,
});
