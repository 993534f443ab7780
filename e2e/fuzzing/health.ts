import { once } from "node:events";
import { connect } from "node:http2";
import { text } from "node:stream/consumers";
import { exchange } from "./connection.ts";

// What each kind of port answers as long as the process behind it is well.

const CHECK = "/grpc.health.v1.Health/Check";

/** Whether an RPC port says that it serves. */
export async function isServing(address: string): Promise<boolean> {
  const session = connect(`http://${address}`);
  session.on("error", () => undefined); // The stream's error tells.
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

/** Whether an address answers a plain request; what it answers is nobody's matter with `any`. */
export async function respondsOk(url: string, { any = false } = {}): Promise<boolean> {
  const response = await fetch(url, { redirect: "manual" });
  await response.body?.cancel();
  return any || response.ok;
}

/** Whether a mail could be sent to somebody there. */
export async function acceptsMail(address: string): Promise<boolean> {
  const lines = ["EHLO a", "MAIL FROM:<a@example.com>", "RCPT TO:<b@example.com>", "QUIT", ""];
  const said = await exchange(address, [Buffer.from(lines.join("\r\n"))], { greeted: true });
  return /^250 .*\r\n250 .*\r\n221 /m.test(said);
}
