import { Schema, type Connection } from "mongoose";
import { newId } from "#runtime/ids.ts";
import { lanes } from "#runtime/lanes.ts";
import type { Log } from "#runtime/log.ts";
import { duplicateOf } from "#runtime/mongo.ts";
import { formerEmail } from "./email-change.ts";
import { letter, tradeLetter, type Cause, type Trade, type TradeCause } from "./letters.ts";
import type { LinkTokens, Purpose } from "./links.ts";
import type { Mail, Mailer } from "./mailer.ts";
import { emailKey, type UserFields, type Users } from "./user.ts";

/** A mail that is to be written: why and to whom. Its words, and its link, are made when it is sent. */
interface PostFields {
  _id: string;
  cause: Cause | TradeCause;
  /** Where it goes; of a letter about a trade, it is only looked up when it is sent. */
  to?: string | undefined;
  /** Whose account it is about; where it is not said, that of the address, if there is one. */
  userId?: string | undefined;
  trade?: Trade | undefined;
  createTime: Date;
  /** An instance is sending it; until then no other does. */
  takenUntil: Date;
  /** When it was sent, if that is remembered. */
  sentTime?: Date | undefined;
}

/** A mail server may be away for days; and an event may be heard again long after its letter was sent. */
const KEEP_SECONDS = 30 * 86_400;

const schema = new Schema<PostFields>(
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
    sentTime: Date,
  },
  { versionKey: false },
);

schema.index({ takenUntil: 1 });

export const postModel = (db: Connection) => db.model("Mail", schema, "mails");
type Posts = ReturnType<typeof postModel>;

interface Deps {
  posts: Posts;
  users: Users;
  mailer: Mailer;
  links: LinkTokens;
  /** What links begin with. */
  publicUrl: string;
  log: Log;
}

/** Writes to people, in the background. */
export interface Post {
  /** Resolves when it is stored that the mail is to be written: from then on it will be. */
  send(cause: Cause, to: string, userId?: string): Promise<void>;
  /**
   * As `send`, of a letter about a trade; under one id it is written once, however often it is asked
   * for, and nobody who has left gets one.
   */
  sendOnce(id: string, cause: TradeCause, userId: string, trade: Trade): Promise<void>;
  /** Looks for mails that were left. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

type Letter = Omit<Mail, "id">;

const TAKE_MS = 60_000;

/** Out of every sweep's way. */
const NEVER = new Date("9999-12-31");

/** Which link a mail has: its page, and what its token is for. */
const linked: Partial<
  Record<PostFields["cause"], { page: string; purpose: Exclude<Purpose, "undo"> }>
> = {
  welcome: { page: "confirm-email", purpose: "confirm" },
  confirm: { page: "confirm-email", purpose: "confirm" },
  move: { page: "confirm-email", purpose: "move" },
  reset: { page: "reset-password", purpose: "reset" },
};

/**
 * Mails wait in the database until somebody has taken them, for a month at most; no process that ends, and
 * no mail server that is away, loses one. Only the cause is stored, never a link: whoever reads the
 * database cannot answer for anybody.
 */
export function startPost({ posts, users, mailer, links, publicUrl, log }: Deps): Post {
  /** The link of a mail; undefined where nobody is there (any more) to answer it. */
  async function linkOf(
    cause: Cause,
    to: string,
    userId: string | undefined,
  ): Promise<string | undefined> {
    const kind = linked[cause];
    if (!kind) return "";
    const who = userId ? { _id: userId } : { emailKey: emailKey(to) };
    const user = await users.findOne(who).select("+passwordHash").lean<UserFields>();
    if (user?.status !== "ACTIVE") return undefined;
    // It may have another address by now, or be on the way to another: then this one proves nothing.
    const address = cause === "move" ? user.newEmail : user.email;
    if (emailKey(address ?? "") !== emailKey(to)) return undefined;
    return `${publicUrl}/${kind.page}?token=${links.make(kind.purpose, user)}`;
  }

  /** The mail to a former address, with the link that gives the account back to it. */
  async function undoLetter(to: string): Promise<Letter | undefined> {
    const key = emailKey(to);
    const user = await users.findOne({ reservedEmails: key }).lean<UserFields>();
    const former = user?.status === "ACTIVE" ? formerEmail(user, key) : undefined;
    if (!user || !former) return undefined;
    const link = `${publicUrl}/undo-email-change?token=${links.makeUndo(user, former)}`;
    return { to: former.email, ...letter("moved", publicUrl, link) };
  }

  /** The mail as it goes out; undefined where nobody is there to read it. */
  async function write({ cause, to, userId, trade }: PostFields): Promise<Letter | undefined> {
    if (trade) {
      const user = await users.findById(userId).lean<UserFields>();
      if (!user || user.status === "DELETED") return undefined;
      return { to: user.email, ...tradeLetter(cause as TradeCause, publicUrl, trade) };
    }
    if (cause === "moved") return undoLetter(to ?? "");
    const link = await linkOf(cause as Cause, to ?? "", userId);
    // Whose account was moved away by somebody else asks for a new password first.
    if (link === undefined) return cause === "reset" ? undoLetter(to ?? "") : undefined;
    return { to: to ?? "", ...letter(cause as Cause, publicUrl, link) };
  }

  async function deliver(id: string): Promise<void> {
    const now = Date.now();
    const free = { _id: id, takenUntil: { $lte: new Date(now) } };
    const take = { $set: { takenUntil: new Date(now + TAKE_MS) } };
    const post = await posts.findOneAndUpdate(free, take).lean();
    if (!post) return; // Sent, or in the hands of another instance.
    try {
      const mail = await write(post);
      if (mail) await mailer.send({ id, ...mail });
      const sent = { sentTime: new Date(), takenUntil: NEVER };
      if (post.trade) await posts.updateOne({ _id: id }, { $set: sent });
      else await posts.deleteOne({ _id: id });
      log.info({ mail: post.cause }, mail ? "mail sent" : "no mail is needed");
    } catch (error) {
      await posts.updateOne({ _id: id }, { $set: { takenUntil: new Date(0) } });
      throw error;
    }
  }

  const work = lanes(deliver, {
    width: 4,
    room: 1_000,
    onError: (err, id) => log.warn({ err: (err as Error).message, id }, "mail not sent yet"),
  });

  return {
    async send(cause, to, userId) {
      const _id = newId();
      await posts.create({
        _id,
        cause,
        to,
        userId,
        createTime: new Date(),
        takenUntil: new Date(0),
      });
      work.wake(_id);
    },
    async sendOnce(_id, cause, userId, trade) {
      const times = { createTime: new Date(), takenUntil: new Date(0) };
      try {
        await posts.create({ _id, cause, userId, trade, ...times });
      } catch (error) {
        if (!duplicateOf(error)) throw error;
      }
      work.wake(_id);
    },
    async sweep() {
      const due = { takenUntil: { $lte: new Date() } };
      const left = posts.find(due, { _id: 1 }).limit(1_000);
      for (const { _id } of await left.lean()) if (!work.has(_id)) work.wake(_id);
    },
    async close() {
      await work.close();
      mailer.close();
    },
  };
}
