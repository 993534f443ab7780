export { openMailbox } from "./mailbox.ts";
export { serveSmtp } from "./smtp.ts";
