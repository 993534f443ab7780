import type { MailFields, Mails } from "./mail.ts";
import { MINUTE_MS } from "#runtime/values/time.ts";

/** Later than any sweep. */
const NEVER = new Date("9999-12-31");
const CLAIM_MS = MINUTE_MS;
const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 15 * MINUTE_MS;

/** Exponential backoff with jitter, so that emails that failed together are not retried together. */
const backoffAfter = (tries: number): number =>
  Math.min(FIRST_BACKOFF_MS * 2 ** Math.min(tries, 20), LONGEST_BACKOFF_MS) *
  (0.8 + 0.2 * Math.random());

export type MailStore = ReturnType<typeof mailStore>;

/** The state of stored emails, shared by all instances. */
export const mailStore = (mails: Mails) => ({
  /** Claims an email for a minute. Undefined where it is sent, rejected, backing off, or claimed. */
  async claim(_id: string): Promise<MailFields | undefined> {
    const now = Date.now();
    const unclaimed = { _id, takenUntil: { $lte: new Date(now) } };
    const claim = { $set: { takenUntil: new Date(now + CLAIM_MS) } };
    const mail = await mails.findOneAndUpdate(unclaimed, claim).lean<MailFields>();
    return mail ? { ...mail, tries: mail.tries ?? 0 } : undefined;
  },
  /** Deletes a sent email. One about a trade is kept as sent, because its event may be redelivered. */
  async markSent({ _id, trade }: MailFields): Promise<void> {
    const sent = { sentTime: new Date(), takenUntil: NEVER };
    if (trade) await mails.updateOne({ _id }, { $set: sent });
    else await mails.deleteOne({ _id });
  },
  async markRejected({ _id }: MailFields, code: string): Promise<void> {
    const rejected = { refusedTime: new Date(), refusal: code, takenUntil: NEVER };
    await mails.updateOne({ _id }, { $set: rejected });
  },
  /** Schedules the next attempt after one that failed. */
  async postpone({ _id, tries }: MailFields): Promise<void> {
    const takenUntil = new Date(Date.now() + backoffAfter(tries));
    await mails.updateOne({ _id }, { $set: { takenUntil }, $inc: { tries: 1 } });
  },
  /** The ids of due emails, the longest waiting first: new ones, or those that failed before. */
  async findDue(failedBefore: boolean, limit: number): Promise<string[]> {
    const due = {
      takenUntil: { $lte: new Date() },
      tries: failedBefore ? { $gt: 0 } : { $not: { $gt: 0 } },
    };
    const found = await mails.find(due, { _id: 1 }).sort({ takenUntil: 1 }).limit(limit).lean();
    return found.map(({ _id }) => _id);
  },
});
