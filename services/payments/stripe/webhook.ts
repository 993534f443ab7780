import { Schema, type Connection } from "mongoose";

/** A webhook event of Stripe's, stored before it is acknowledged. */
export interface Webhook {
  /** Stripe's id of the event. */
  _id: string;
  type: string;
  /** Our id of the payment or seller that the event is about. */
  subject: string;
  receivedAt: Date;
  /** When the event is retried if it is still unhandled. The stored name is older than this code. */
  askTime?: Date;
  /** When the result of the event's poll was stored; absent before. */
  handledAt?: Date;
}

const RETENTION_SECONDS = 30 * 86_400;

const schema = new Schema<Webhook>(
  {
    _id: { type: String, required: true },
    type: { type: String, required: true },
    subject: { type: String, required: true },
    receivedAt: { type: Date, required: true, expires: RETENTION_SECONDS },
    askTime: Date,
    handledAt: { type: Date, index: true },
  },
  { versionKey: false },
);

export const webhookModel = (db: Connection) => db.model("Webhook", schema, "webhooks");
export type Webhooks = ReturnType<typeof webhookModel>;

/** Marks events as handled: the state that Stripe returned because of them is stored. */
export const markHandled = (webhooks: Webhooks, eventIds: readonly string[]): Promise<unknown> =>
  webhooks.updateMany({ _id: { $in: eventIds } }, { handledAt: new Date() });
