import { Schema, type Connection } from "mongoose";
import type { AccountEmailCause } from "./email-templates.ts";
import type { Trade, TradeEmailCause } from "./trade-templates.ts";

/** An email that waits to be sent. Only its cause is stored; its text and link are made when it is sent. */
export interface MailFields {
  _id: string;
  cause: AccountEmailCause | TradeEmailCause;
  /** The address to write to. Absent for an email about a trade: its address is looked up when it is sent. */
  to?: string | undefined;
  /** The account that the email is about. Absent where the address alone is known. */
  userId?: string | undefined;
  trade?: Trade | undefined;
  createTime: Date;
  /** No instance tries before this time: one holds the claim, or the backoff after a failure runs. */
  takenUntil: Date;
  /** How many attempts have failed. */
  tries: number;
  /** When it was sent. Only kept for an email about a trade. */
  sentTime?: Date | undefined;
  /** When the mail server rejected it permanently, and with which code. It is not retried. */
  refusedTime?: Date | undefined;
  refusal?: string | undefined;
}

/** A mail server may be down for days, and an event may be redelivered long after its email was sent. */
const RETENTION_SECONDS = 30 * 86_400;

const tradeSchema = new Schema<Trade>(
  {
    orderId: { type: String, required: true },
    title: { type: String, required: true },
    amount: { type: String, required: true },
  },
  { _id: false },
);

const schema = new Schema<MailFields>(
  {
    _id: { type: String, required: true },
    cause: { type: String, required: true },
    to: String,
    userId: String,
    trade: { type: tradeSchema },
    createTime: { type: Date, required: true, expires: RETENTION_SECONDS },
    takenUntil: { type: Date, required: true },
    tries: { type: Number, default: 0 },
    sentTime: Date,
    refusedTime: Date,
    refusal: String,
  },
  { versionKey: false },
);

schema.index({ takenUntil: 1 });
schema.index({ userId: 1 }, { sparse: true });
schema.index({ to: 1 }, { sparse: true });

export const mailModel = (db: Connection) => db.model("Mail", schema, "mails");
export type Mails = ReturnType<typeof mailModel>;
