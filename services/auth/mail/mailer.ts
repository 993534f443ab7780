import { createTransport } from "nodemailer";
import { withDeadline } from "#runtime/deadline.ts";
import { toSingleLine } from "#runtime/text.ts";

export interface Mail {
  /** The same at every try, so that who receives it twice can tell. */
  id: string;
  to: string;
  subject: string;
  text: string;
}

/** The mail server will never take this mail: trying again is no use. */
export class MailRefused extends Error {
  override name = "MailRefused";
  /** What it was refused with: "550 at RCPT TO". The server's words may hold an address, this does not. */
  readonly code: string;

  constructor(code: string, options?: ErrorOptions) {
    super(`the mail was refused: ${code}`, options);
    this.code = code;
  }
}

/** Hands mail over to those who deliver it. */
export interface Mailer {
  /** Resolves when it was taken. Throws `MailRefused` where it never will be. */
  send(mail: Mail): Promise<void>;
  close(): void;
}

const TIMEOUT_MS = 10_000;
/** A server that does not even greet keeps no mail that is new waiting for long. */
const GREETING_MS = 5_000;
/** All of it; after a minute another instance would try. */
const SEND_MS = 45_000;

/** What nodemailer says of a failure, as far as it matters here. */
interface SmtpError {
  code?: string;
  responseCode?: number;
  command?: string;
}

/** The server does not know us, which is our configuration's fault and no mail's (RFC 4954). */
const NOT_SIGNED_IN = [530, 534, 535, 538];

/**
 * Only an answer to the mail itself (its sender, its receiver, its content) refuses it for good. A server
 * that does not greet us or does not let us in says nothing about the mail.
 */
function refusalIn(error: unknown): MailRefused | undefined {
  const { code, responseCode, command = "" } = error as SmtpError;
  if (code !== "EENVELOPE" && code !== "EMESSAGE") return undefined;
  if (responseCode === undefined) return new MailRefused(`${code} before it was sent`);
  if (responseCode < 500 || NOT_SIGNED_IN.includes(responseCode)) return undefined;
  return new MailRefused(`${responseCode} at ${command}`);
}

/** A mailer that speaks SMTP, as every mail provider does. */
export function smtpMailer(url: string, from: string): Mailer {
  const timeouts = {
    connectionTimeout: GREETING_MS,
    greetingTimeout: GREETING_MS,
    socketTimeout: TIMEOUT_MS,
  };
  const transport = createTransport({ url, ...timeouts }, { from });
  const domain = /@([^>]+)>?$/.exec(from)?.[1] ?? "localhost";
  return {
    async send({ id, to, subject, text }) {
      // As an address of its own: text with a comma in it would be several.
      const recipient = { name: "", address: to };
      if (toSingleLine(to) !== to) throw new MailRefused("the address is not one line");
      const messageId = `<${id}@${domain}>`;
      const mail = { messageId, to: recipient, subject: toSingleLine(subject), text };
      const sending = transport.sendMail(mail).catch((error: unknown) => {
        throw refusalIn(error) ?? error;
      });
      await withDeadline(SEND_MS, sending, () => new Error("the mail server is too slow"));
    },
    close: () => transport.close(),
  };
}
