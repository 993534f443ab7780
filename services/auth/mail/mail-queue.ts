import { keyedQueue, type KeyedQueue } from "#runtime/keyed-queue.ts";
import type { Log } from "#runtime/log.ts";
import { mailCounter } from "#runtime/metrics.ts";
import type { Service } from "#runtime/service.ts";
import { duplicateKeyIndex } from "#runtime/store/database.ts";
import { newId } from "#runtime/store/ids.ts";
import type { AuthConfig } from "../config.ts";
import { composeEmail, type ComposerDeps } from "./email-composer.ts";
import type { AccountEmailCause } from "./email-templates.ts";
import { mailStore, type MailStore } from "./mail-store.ts";
import type { MailFields, Mails } from "./mail.ts";
import { EmailRejected, smtpMailer, type Mailer } from "./smtp-mailer.ts";
import type { Trade, TradeEmailCause } from "./trade-templates.ts";

export interface MailQueueDeps extends ComposerDeps {
  mails: Mails;
  mailer: Mailer;
  log: Log;
}

/** Sends emails in the background. */
export interface MailQueue {
  /** Resolves when the email is stored. From then on it is sent at least once. */
  enqueue(cause: AccountEmailCause, to: string, userId?: string): Promise<void>;
  /**
   * Like `enqueue`, for an email about a trade. Its id makes it idempotent, and a deleted account gets
   * none.
   */
  enqueueOnce(id: string, cause: TradeEmailCause, userId: string, trade: Trade): Promise<void>;
  /** Picks up due emails that no instance works on. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

/** The number of ids that a sweep loads and that wait in memory. All others wait in the database. */
const CAPACITY = 1_000;
const CONCURRENCY = 4;

/** Stores why an email was not sent: it is rejected for good, or retried after a backoff. */
async function recordFailure(
  { log, store }: { log: Log; store: MailStore },
  mail: MailFields,
  error: unknown,
): Promise<void> {
  const about = { mail: mail.cause, id: mail._id };
  if (error instanceof EmailRejected) {
    await store.markRejected(mail, error.code);
    mailCounter.inc({ outcome: "refused", cause: mail.cause });
    log.error({ ...about, code: error.code }, "the mail server rejected an email permanently");
    return;
  }
  await store.postpone(mail);
  mailCounter.inc({ outcome: "postponed", cause: mail.cause });
  const { code, responseCode } = error as { code?: string; responseCode?: number };
  log.warn(
    { ...about, code, responseCode, tries: mail.tries + 1 },
    "email not sent; it is retried",
  );
}

/** Sends one stored email, unless it is sent already or another instance has claimed it. */
async function deliver(deps: MailQueueDeps & { store: MailStore }, id: string): Promise<void> {
  const { mailer, store, log } = deps;
  const mail = await store.claim(id);
  if (!mail) return;
  let email: Awaited<ReturnType<typeof composeEmail>>;
  try {
    email = await composeEmail(deps, mail);
    if (email) await mailer.send({ id, ...email });
  } catch (error) {
    await recordFailure(deps, mail, error);
    return;
  }
  await store.markSent(mail);
  mailCounter.inc({ outcome: email ? "sent" : "unneeded", cause: mail.cause });
  log.info({ mail: mail.cause }, email ? "email sent" : "email not needed");
}

/**
 * Emails wait in the database until the mail server accepts them, for a month at most, so neither a crash
 * nor an outage of the mail server loses one. Links are never stored: read access to the database lets
 * nobody use one.
 */
export function createMailQueue(deps: MailQueueDeps): MailQueue {
  const { mails, mailer, log } = deps;
  const store = mailStore(mails);
  const queue = (): KeyedQueue =>
    keyedQueue((id) => deliver({ ...deps, store }, id), {
      concurrency: CONCURRENCY,
      capacity: CAPACITY,
      onError: (err, id) => log.warn({ err: (err as Error).message, id }, "email not claimed yet"),
    });
  const newMails = queue();
  // Separate, so that emails that keep failing never delay new ones.
  const retries = queue();

  async function add(mail: Omit<MailFields, "createTime" | "takenUntil" | "tries">): Promise<void> {
    await mails.create({ ...mail, createTime: new Date(), takenUntil: new Date(0) });
  }

  return {
    async enqueue(cause, to, userId) {
      const _id = newId();
      await add({ _id, cause, to, userId });
      newMails.enqueue(_id);
    },
    async enqueueOnce(_id, cause, userId, trade) {
      await add({ _id, cause, userId, trade }).catch((error: unknown) => {
        if (!duplicateKeyIndex(error)) throw error;
      });
      newMails.enqueue(_id);
    },
    async sweep() {
      for (const id of await store.findDue(false, CAPACITY)) {
        if (!newMails.has(id)) newMails.enqueue(id);
      }
      for (const id of await store.findDue(true, CAPACITY)) {
        if (!retries.has(id)) retries.enqueue(id);
      }
    },
    async close() {
      await Promise.all([newMails.close(), retries.close()]);
      mailer.close();
    },
  };
}

/** Starts the mail queue of a service: due emails are picked up every five seconds. */
export function startMailQueue(
  service: Service,
  deps: Omit<MailQueueDeps, "mailer" | "publicUrl" | "log">,
  config: AuthConfig,
): MailQueue {
  const queue = createMailQueue({
    ...deps,
    mailer: smtpMailer(config.SMTP_URL, config.MAIL_FROM),
    publicUrl: config.PUBLIC_URL.replace(/\/$/, ""),
    log: service.log,
  });
  service.onStop(() => queue.close());
  service.every(5, "sending due emails", () => queue.sweep());
  return queue;
}
