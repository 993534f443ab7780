import { once } from "node:events";
import { connect } from "node:http2";
import { text } from "node:stream/consumers";
import { exchange } from "./connection.ts";

// Health checks for each kind of port.

const CHECK = "/grpc.health.v1.Health/Check";

/** Whether the health service of an RPC port reports SERVING. */
export async function isServing(address: string): Promise<boolean> {
  const session = connect(`http://${address}`);
  session.on("error", () => undefined); // The stream reports the same error.
  try {
    const head = { ":method": "POST", ":path": CHECK, "content-type": "application/json" };
    const stream = session.request(head);
    stream.end("{}");
    await once(stream, "response");
    return (await text(stream)).includes('"SERVING"');
  } finally {
    session.destroy();
  }
}

/** Whether an HTTP request succeeds. With `any`, whether there is any response. */
export async function respondsOk(url: string, { any = false } = {}): Promise<boolean> {
  const response = await fetch(url, { redirect: "manual" });
  await response.body?.cancel();
  return any || response.ok;
}

/** Whether the SMTP server accepts a sender and a recipient. */
export async function acceptsMail(address: string): Promise<boolean> {
  const lines = ["EHLO a", "MAIL FROM:<a@example.com>", "RCPT TO:<b@example.com>", "QUIT", ""];
  const received = await exchange(address, [Buffer.from(lines.join("\r\n"))], { greeted: true });
  return /^250 .*\r\n250 .*\r\n221 /m.test(received);
}
