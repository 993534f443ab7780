import { once } from "node:events";
import { createServer } from "node:http";
import { isIP } from "node:net";
import type { Mail, Mailbox } from "./mailbox.ts";

const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);

/** Escaped text in which URLs are links. */
const linked = (text: string): string =>
  escaped(text).replace(/https?:\/\/[^\s&#]+(?:&#38;[^\s&#]+)*/g, '<a href="$&">$&</a>');

const section = ({ to, subject, text, time }: Mail): string => `
<article>
  <h2>${escaped(subject)}</h2>
  <p>to ${escaped(to.join(", "))}, <time>${escaped(time)}</time></p>
  <pre>${linked(text)}</pre>
</article>`;

const page = (mails: readonly Mail[]): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Mailbox</title>
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
  body { max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }
  article { border-top: 1px solid; padding: 1rem 0; }
  h2 { font-size: 1.1rem; margin: 0; }
  p { margin: 0; opacity: 0.7; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; }
</style>
<h1>Mailbox</h1>
<p>All mail that this marketplace has sent, the newest first. It leaves this machine in no case.</p>
${mails.map(section).join("") || "<p>Nothing yet.</p>"}
</html>`;

/**
 * Whether a request names its host by an IP address or as localhost. A page of another site can point
 * its own name at this address (DNS rebinding), and would then read the emails with their password
 * reset links. Its requests still carry its own name as the host.
 */
const namesAddress = (host = ""): boolean => {
  const { hostname } = URL.parse(`http://${host}`) ?? {};
  return hostname === "localhost" || isIP(hostname?.replace(/^\[|\]$/g, "") ?? "") > 0;
};

/** Serves the mailbox: a page at "/", and JSON at "/mails". */
export async function serveMails(
  mailbox: Mailbox,
  { host, port }: { host: string; port: number },
): Promise<void> {
  const server = createServer((req, res) => {
    const safe = { "cache-control": "no-store", "x-content-type-options": "nosniff" };
    if (!namesAddress(req.headers.host)) {
      res.writeHead(421, { ...safe, "content-type": "text/plain" });
      return void res.end("Call the mailbox by its address, or as localhost.\n");
    }
    if (req.url === "/mails") {
      res.writeHead(200, { ...safe, "content-type": "application/json" });
      return void res.end(JSON.stringify(mailbox.all()));
    }
    const policy = "default-src 'none'; style-src 'unsafe-inline'";
    res.writeHead(200, {
      ...safe,
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": policy,
      "referrer-policy": "no-referrer",
    });
    res.end(page(mailbox.all()));
  });
  await once(server.listen(port, host), "listening");
  server.on("error", (error) => console.error(error.message));
}
