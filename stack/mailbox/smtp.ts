import { once } from "node:events";
import { simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";
import type { Mailbox } from "./mailbox.ts";

const LARGEST = 1024 * 1024;

/** Accepts email from any sender on this machine to any recipient, and stores it in the mailbox. */
export async function serveSmtp(
  mailbox: Mailbox,
  { host, port }: { host: string; port: number },
): Promise<void> {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["AUTH", "STARTTLS"],
    size: LARGEST,
    onData(stream, session, done) {
      simpleParser(stream)
        .then(({ subject = "", text = "" }) => {
          const to = session.envelope.rcptTo.map(({ address }) => address);
          mailbox.put({ to, subject, text });
          done();
        })
        .catch(done);
    },
  });
  server.on("error", (error) => console.error(error.message));
  await once(server.listen(port, host), "listening");
}
