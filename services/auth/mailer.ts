import { createTransport } from "nodemailer";
import { within } from "#runtime/within.ts";

export interface Mail {
  /** The same at every try, so that who receives it twice can tell. */
  id: string;
  to: string;
  subject: string;
  text: string;
}

/** Hands mail over to those who deliver it. */
export interface Mailer {
  /** Resolves when it was taken. */
  send(mail: Mail): Promise<void>;
  close(): void;
}

const TIMEOUT_MS = 10_000;
/** All of it; after a minute another instance would try. */
const SEND_MS = 45_000;

/** A mailer that speaks SMTP, as every mail provider does. */
export function smtpMailer(url: string, from: string): Mailer {
  const timeouts = {
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
  };
  const transport = createTransport({ url, ...timeouts }, { from });
  const domain = /@([^>]+)>?$/.exec(from)?.[1] ?? "localhost";
  return {
    async send({ id, to, subject, text }) {
      // As an address of its own: text with a comma in it would be several.
      const recipient = { name: "", address: to };
      const messageId = `<${id}@${domain}>`;
      const sending = transport.sendMail({ messageId, to: recipient, subject, text });
      await within(SEND_MS, sending, () => new Error("the mail server is too slow"));
    },
    close: () => transport.close(),
  };
}
