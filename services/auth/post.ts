import { Schema, type Connection } from "mongoose";
import { newId } from "#runtime/ids.ts";
import { lanes } from "#runtime/lanes.ts";
import type { Log } from "#runtime/log.ts";
import { letter, type Cause } from "./letters.ts";
import type { LinkTokens, Purpose } from "./links.ts";
import type { Mailer } from "./mailer.ts";
import { emailKey, type UserFields, type Users } from "./user.ts";

/** A mail that is to be written: why and to whom. Its words, and its link, are made when it is sent. */
interface PostFields {
  _id: string;
  cause: Cause;
  to: string;
  /** Whose account it is about; where it is not said, that of the address, if there is one. */
  userId?: string | undefined;
  createTime: Date;
  /** An instance is sending it; until then no other does. */
  takenUntil: Date;
}

/** A mail server may be away for days. */
const KEEP_SECONDS = 7 * 86_400;

const schema = new Schema<PostFields>(
  {
    _id: { type: String, required: true },
    cause: { type: String, required: true },
    to: { type: String, required: true },
    userId: String,
    createTime: { type: Date, required: true, expires: KEEP_SECONDS },
    takenUntil: { type: Date, required: true },
  },
  { versionKey: false },
);

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
  /** Looks for mails that were left. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

const TAKE_MS = 60_000;

/** Which link a mail has: its page, and what its token is for. */
const linked: Partial<Record<Cause, { page: string; purpose: Purpose }>> = {
  welcome: { page: "confirm-email", purpose: "confirm" },
  confirm: { page: "confirm-email", purpose: "confirm" },
  move: { page: "confirm-email", purpose: "move" },
  reset: { page: "reset-password", purpose: "reset" },
};

/**
 * Mails wait in the database until somebody has taken them, for a week at most; no process that ends, and
 * no mail server that is away, loses one. Only the cause is stored, never a link: whoever reads the
 * database cannot answer for anybody.
 */
export function startPost({ posts, users, mailer, links, publicUrl, log }: Deps): Post {
  /** The link of a mail; undefined where nobody is there (any more) to answer it. */
  async function linkOf({ cause, to, userId }: PostFields): Promise<string | undefined> {
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

  async function deliver(id: string): Promise<void> {
    const now = Date.now();
    const free = { _id: id, takenUntil: { $lte: new Date(now) } };
    const take = { $set: { takenUntil: new Date(now + TAKE_MS) } };
    const post = await posts.findOneAndUpdate(free, take).lean();
    if (!post) return; // Sent, or in the hands of another instance.
    try {
      const { cause, to } = post;
      const link = await linkOf(post);
      if (link !== undefined) await mailer.send({ id, to, ...letter(cause, publicUrl, link) });
      await posts.deleteOne({ _id: id });
      log.info({ mail: cause }, link === undefined ? "no mail is needed" : "mail sent");
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
    async sweep() {
      const left = posts.find({ takenUntil: { $lte: new Date() } }, { _id: 1 }).limit(1_000);
      for (const { _id } of await left.lean()) if (!work.has(_id)) work.wake(_id);
    },
    async close() {
      await work.close();
      mailer.close();
    },
  };
}
