import { Schema, type Connection } from "mongoose";
import type { Cause, Trade, TradeCause } from "./templates.ts";

/** A mail that is to be written: why and to whom. Its words, and its link, are made when it is sent. */
export interface MailFields {
  _id: string;
  cause: Cause | TradeCause;
  /** Where it goes; of a letter about a trade, it is only looked up when it is sent. */
  to?: string | undefined;
  /** Whose account it is about; where it is not said, that of the address, if there is one. */
  userId?: string | undefined;
  trade?: Trade | undefined;
  createTime: Date;
  /** Until then nobody tries: an instance is sending it, or the pause after a failure is not over. */
  takenUntil: Date;
  /** How often it could not be sent. */
  tries: number;
  /** When it was sent, if that is remembered. */
  sentTime?: Date | undefined;
  /** When the mail server refused it for good, and with which code; it is not tried again. */
  refusedTime?: Date | undefined;
  refusal?: string | undefined;
}

/** A mail server may be away for days; and an event may be heard again long after its letter was sent. */
const KEEP_SECONDS = 30 * 86_400;

const schema = new Schema<MailFields>(
  {
    _id: { type: String, required: true },
    cause: { type: String, required: true },
    to: String,
    userId: String,
    trade: {
      type: new Schema<Trade>(
        {
          orderId: { type: String, required: true },
          title: { type: String, required: true },
          amount: { type: String, required: true },
        },
        { _id: false },
      ),
    },
    createTime: { type: Date, required: true, expires: KEEP_SECONDS },
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

export const postModel = (db: Connection) => db.model("Mail", schema, "mails");
export type Posts = ReturnType<typeof postModel>;

/** Out of every sweep's way. */
const NEVER = new Date("9999-12-31");
const TAKE_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15 * 60_000;

/** Doubled each time, and spread: those that failed together come back apart. */
const pauseAfter = (tries: number): number =>
  Math.min(FIRST_PAUSE_MS * 2 ** Math.min(tries, 20), LONGEST_PAUSE_MS) *
  (0.8 + 0.2 * Math.random());

/** What becomes of stored mails. */
export const mailStore = (posts: Posts) => ({
  /** Takes a mail for a minute; nothing where it is sent, refused, pausing, or in other hands. */
  async take(_id: string): Promise<MailFields | undefined> {
    const now = Date.now();
    const isFree = { _id, takenUntil: { $lte: new Date(now) } };
    const taken = { $set: { takenUntil: new Date(now + TAKE_MS) } };
    const mail = await posts.findOneAndUpdate(isFree, taken).lean<MailFields>();
    return mail ? { ...mail, tries: mail.tries ?? 0 } : undefined;
  },
  /** It went out. Of a letter about a trade that is remembered, for its event may be heard again. */
  async setSent({ _id, trade }: MailFields): Promise<void> {
    const sent = { sentTime: new Date(), takenUntil: NEVER };
    if (trade) await posts.updateOne({ _id }, { $set: sent });
    else await posts.deleteOne({ _id });
  },
  async setRefused({ _id }: MailFields, refusal: string): Promise<void> {
    const refused = { refusedTime: new Date(), refusal, takenUntil: NEVER };
    await posts.updateOne({ _id }, { $set: refused });
  },
  /** It could not be sent this time. */
  async postpone({ _id, tries }: MailFields): Promise<void> {
    const takenUntil = new Date(Date.now() + pauseAfter(tries));
    await posts.updateOne({ _id }, { $set: { takenUntil }, $inc: { tries: 1 } });
  },
  /** Mails that are due, those that have waited longest first: new ones, or those that failed before. */
  async due(failedBefore: boolean, limit: number): Promise<string[]> {
    const due = {
      takenUntil: { $lte: new Date() },
      tries: failedBefore ? { $gt: 0 } : { $not: { $gt: 0 } },
    };
    const found = await posts.find(due, { _id: 1 }).sort({ takenUntil: 1 }).limit(limit).lean();
    return found.map(({ _id }) => _id);
  },
});
