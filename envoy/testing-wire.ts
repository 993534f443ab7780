import { once } from "node:events";
import * as http2 from "node:http2";
import { connect } from "node:net";
import { until } from "#stack/process";
import { ask, type Answer, type World } from "./testing.ts";

// Requests as nobody's library would send them.

/** An address of this machine from which the edge believes no header: it trusts only 127.0.0.1. */
export const STRANGER = "127.0.0.2";

/** Far longer than any answer takes. */
const GIVE_UP_MS = 20_000;

const portOf = (world: World) => Number(new URL(world.edge.url).port);

/** Asks until what is behind the edge is there: on a busy machine an instance may seem ill for a moment. */
export const askWhatIsThere = (...call: Parameters<typeof ask>): Promise<Answer> =>
  until(
    async () => {
      const answer = await ask(...call);
      return answer.status === 503 ? undefined : answer;
    },
    { what: `${call[1]} ${call[2]} to be served` },
  );

/** Sends exactly these bytes, and gives what comes back. */
export async function raw(world: World, bytes: string): Promise<string> {
  const socket = connect(portOf(world), "127.0.0.1");
  let answer = "";
  socket.setTimeout(GIVE_UP_MS, () => socket.destroy());
  socket
    .on("error", () => {})
    .on("data", (data) => {
      answer += data.toString();
      socket.end();
    });
  socket.write(bytes, "latin1");
  await once(socket, "close");
  return answer;
}

/** The status of an answer: that of its first line. */
export const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);

export interface Answer2 {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  readonly text: string;
}

/** Sends these headers over HTTP/2, pseudo-headers too. */
export async function h2(
  world: World,
  headers: http2.OutgoingHttpHeaders,
  body?: string | Uint8Array,
): Promise<Answer2> {
  const session = http2.connect(world.edge.url);
  session.on("error", () => {}); // the stream tells it too
  session.setTimeout(GIVE_UP_MS, () => session.destroy(new Error("no answer")));
  try {
    const stream = session.request(headers);
    let text = "";
    const closed = once(
      stream.on("data", (data) => (text += String(data))),
      "close",
    );
    const refused = closed.then(() => Promise.reject(new Error(`reset: ${stream.rstCode}`)));
    refused.catch(() => {}); // looked at only while there is no answer
    stream.end(body);
    const answered = once(stream, "response") as Promise<[http2.IncomingHttpHeaders]>;
    const [response] = await Promise.race([answered, refused]);
    await closed;
    return { status: Number(response[":status"]), headers: response, text };
  } finally {
    session.destroy();
  }
}
