import { newId } from "#runtime/store/ids.ts";
import { lanes, type Lanes } from "#runtime/keyed-queue.ts";
import type { Log } from "#runtime/log.ts";
import { mailCount } from "#runtime/metrics.ts";
import { duplicateOf } from "#runtime/store/database.ts";
import { formerEmail } from "../former-email.ts";
import { letter, tradeLetter, type Cause, type Trade, type TradeCause } from "./templates.ts";
import type { LinkTokens, Purpose } from "./link-tokens.ts";
import { mailStore, type MailFields, type Posts } from "./mail-store.ts";
import { MailRefused, type Mail, type Mailer } from "./mailer.ts";
import { emailKey, type UserFields, type Users } from "../user.ts";

interface Deps {
  posts: Posts;
  users: Users;
  mailer: Mailer;
  links: LinkTokens;
  /** Whether a notice may go to an address that nobody has confirmed. */
  mayNotify: (emailKey: string) => Promise<boolean>;
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

/** So many are looked for at once, and so many wait in memory; the others wait in the database. */
const CAPACITY = 1_000;

/** Which link a mail has: its page, and what its token is for. */
const linked: Partial<
  Record<MailFields["cause"], { page: string; purpose: Exclude<Purpose, "undo"> }>
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
export function startPost({ posts, users, mailer, links, publicUrl, log, mayNotify }: Deps): Post {
  const store = mailStore(posts);

  /** A mail with a link; undefined where nobody is there (any more) to answer it. */
  async function withLink(
    { page, purpose }: { page: string; purpose: Exclude<Purpose, "undo"> },
    cause: Cause,
    { to = "", userId }: MailFields,
  ): Promise<Letter | undefined> {
    const who = userId ? { _id: userId } : { emailKey: emailKey(to) };
    const user = await users.findOne(who).select("+passwordHash").lean<UserFields>();
    if (user?.status !== "ACTIVE") return undefined;
    // It may have another address by now, or be on the way to another: then this one proves nothing.
    const address = (cause === "move" ? user.newEmail : user.email) ?? "";
    if (emailKey(address) !== emailKey(to)) return undefined;
    const link = `${publicUrl}/${page}?token=${links.make(purpose, user)}`;
    // To where the account is, and not as somebody has typed it.
    return { to: address, ...letter(cause, publicUrl, link) };
  }

  /** A notice. Nobody has proven that an unconfirmed address is theirs: a stranger is not flooded. */
  async function notice({
    cause,
    to = "",
    userId,
    tries,
  }: MailFields): Promise<Letter | undefined> {
    const user = userId ? await users.findById(userId).lean<UserFields>() : null;
    const isTheirs = user?.emailConfirmed === true && user.emailKey === emailKey(to);
    // `taken` was counted when it was asked for, and a second try when the first was made.
    const isFree = isTheirs || cause === "taken" || tries > 0;
    if (!isFree && !(await mayNotify(emailKey(to)))) return undefined;
    return { to, ...letter(cause as Cause, publicUrl, "") };
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
  async function write(mail: MailFields): Promise<Letter | undefined> {
    const { cause, userId, trade } = mail;
    if (trade) {
      const user = await users.findById(userId).lean<UserFields>();
      if (!user || user.status === "DELETED") return undefined;
      return { to: user.email, ...tradeLetter(cause as TradeCause, publicUrl, trade) };
    }
    const kind = linked[cause];
    if (cause === "moved") return undoLetter(mail.to ?? "");
    if (!kind) return notice(mail);
    // Whose account was moved away by somebody else asks for a new password first.
    const written = await withLink(kind, cause as Cause, mail);
    return written ?? (cause === "reset" ? undoLetter(mail.to ?? "") : undefined);
  }

  /** Why a mail was not sent is stored with it: for good, or until its pause is over. */
  async function setFailed(mail: MailFields, error: unknown): Promise<void> {
    const about = { mail: mail.cause, id: mail._id };
    if (error instanceof MailRefused) {
      await store.setRefused(mail, error.code);
      mailCount.inc({ outcome: "refused", cause: mail.cause });
      log.error({ ...about, code: error.code }, "mail refused for good");
      return;
    }
    await store.postpone(mail);
    mailCount.inc({ outcome: "postponed", cause: mail.cause });
    const { code, responseCode } = error as { code?: string; responseCode?: number };
    log.warn({ ...about, code, responseCode, tries: mail.tries + 1 }, "mail not sent yet");
  }

  async function deliver(id: string): Promise<void> {
    const mail = await store.take(id);
    if (!mail) return; // Sent, or in the hands of another instance.
    let written: Letter | undefined;
    try {
      written = await write(mail);
      if (written) await mailer.send({ id, ...written });
    } catch (error) {
      await setFailed(mail, error);
      return;
    }
    await store.setSent(mail);
    mailCount.inc({ outcome: written ? "sent" : "unneeded", cause: mail.cause });
    log.info({ mail: mail.cause }, written ? "mail sent" : "no mail is needed");
  }

  const queue = (width: number): Lanes =>
    lanes(deliver, {
      width,
      room: CAPACITY,
      onError: (err, id) => log.warn({ err: (err as Error).message, id }, "mail not looked at yet"),
    });
  /** Those that have failed before wait for each other, and for none that is new. */
  const [work, retries] = [queue(4), queue(4)];

  return {
    async send(cause, to, userId) {
      const _id = newId();
      const times = { createTime: new Date(), takenUntil: new Date(0) };
      await posts.create({ _id, cause, to, userId, ...times });
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
      for (const id of await store.due(false, CAPACITY)) if (!work.has(id)) work.wake(id);
      for (const id of await store.due(true, CAPACITY)) if (!retries.has(id)) retries.wake(id);
    },
    async close() {
      await Promise.all([work.close(), retries.close()]);
      mailer.close();
    },
  };
}
