import { createTransport } from "nodemailer";
import { withDeadline } from "#runtime/deadline.ts";
import { toSingleLine } from "#runtime/values/text.ts";
import type { EmailContent } from "./email-templates.ts";

export interface Email extends EmailContent {
  /** The same on every attempt, so that a receiver can recognize a duplicate. */
  id: string;
  to: string;
}

/** The mail server rejected the email permanently, so it is not retried. */
export class EmailRejected extends Error {
  override name = "EmailRejected";
  /** The reply code: "550 at RCPT TO". Unlike the server's text, it never contains an address. */
  readonly code: string;

  constructor(code: string, options?: ErrorOptions) {
    super(`the email was rejected: ${code}`, options);
    this.code = code;
  }
}

/** Hands emails to a mail server. */
export interface Mailer {
  /** Resolves when the server accepted the email. Throws `EmailRejected` on a permanent failure. */
  send(email: Email): Promise<void>;
  close(): void;
}

const TIMEOUT_MS = 10_000;
/** Short, so that a server that does not greet delays new emails little. */
const GREETING_TIMEOUT_MS = 5_000;
/** Shorter than a claim, after which another instance would send the same email. */
const SEND_TIMEOUT_MS = 45_000;

/** The fields of a nodemailer error that matter here. */
interface SmtpError {
  code?: string;
  responseCode?: number;
  command?: string;
}

/** Authentication failures (RFC 4954) come from our configuration, so they reject no email. */
const AUTHENTICATION_FAILURES = [530, 534, 535, 538];

/**
 * The permanent failure in an error, if it is one. Only a reply to the email itself (its sender, receiver
 * or content) is permanent. A server that does not greet or authenticate us says nothing about the email.
 */
function permanentFailure(error: unknown): EmailRejected | undefined {
  const { code, responseCode, command = "" } = error as SmtpError;
  if (code !== "EENVELOPE" && code !== "EMESSAGE") return undefined;
  if (responseCode === undefined) return new EmailRejected(`${code} before it was sent`);
  if (responseCode < 500 || AUTHENTICATION_FAILURES.includes(responseCode)) return undefined;
  return new EmailRejected(`${responseCode} at ${command}`);
}

/** A mailer that speaks SMTP. */
export function smtpMailer(url: string, from: string): Mailer {
  const timeouts = {
    connectionTimeout: GREETING_TIMEOUT_MS,
    greetingTimeout: GREETING_TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
  };
  const transport = createTransport({ url, ...timeouts }, { from });
  const domain = /@([^>]+)>?$/.exec(from)?.[1] ?? "localhost";
  return {
    async send({ id, to, subject, text }) {
      // An address object, because a string with a comma in it would become several addresses.
      const recipient = { name: "", address: to };
      if (toSingleLine(to) !== to) throw new EmailRejected("the address is not one line");
      const messageId = `<${id}@${domain}>`;
      const message = { messageId, to: recipient, subject: toSingleLine(subject), text };
      const sending = transport.sendMail(message).catch((error: unknown) => {
        throw permanentFailure(error) ?? error;
      });
      await withDeadline(SEND_TIMEOUT_MS, sending, () => new Error("the mail server is too slow"));
    },
    close: () => transport.close(),
  };
}
