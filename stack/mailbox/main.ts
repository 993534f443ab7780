import { mkdirSync } from "node:fs";
import { openMailbox } from "./mailbox.ts";
import { serveMails } from "./page.ts";
import { serveSmtp } from "./smtp.ts";

// Accepts all emails that the marketplace sends on this machine, stores the newest, and shows them.

const { MAILBOX_HOST: host = "127.0.0.1", MAILBOX_DIR: dir = "" } = process.env;
const { SMTP_PORT: smtp = "2525", MAILBOX_PORT: page = "8025" } = process.env;
mkdirSync(dir, { recursive: true, mode: 0o700 });
const mailbox = openMailbox(dir);
await serveSmtp(mailbox, { host, port: Number(smtp) });
await serveMails(mailbox, { host, port: Number(page) });
console.log("ready");
