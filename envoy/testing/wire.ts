import { once } from "node:events";
import * as http2 from "node:http2";
import { connect } from "node:net";
import { until } from "#stack/process";
import type { EdgeFixture } from "./edge-fixture.ts";
import { request, type HttpResponse } from "./http-request.ts";

// Requests that client libraries refuse to send.

/** A loopback address whose headers the edge does not trust: it trusts 127.0.0.1 alone. */
export const UNTRUSTED_ADDRESS = "127.0.0.2";

/** Far longer than any response takes. */
const TIMEOUT_MS = 20_000;

const portOf = (fixture: EdgeFixture) => Number(new URL(fixture.edge.url).port);

/** Retries while the upstream is unavailable: on a busy machine a health check may fail for a moment. */
export const requestUntilAvailable = (...call: Parameters<typeof request>): Promise<HttpResponse> =>
  until(
    async () => {
      const response = await request(...call);
      return response.status === 503 ? undefined : response;
    },
    { what: `${call[1]} ${call[2]} to be served` },
  );

function openRawConnection(fixture: EdgeFixture, bytes: string) {
  const socket = connect(portOf(fixture), "127.0.0.1");
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy());
  socket.on("error", () => {});
  socket.write(bytes, "latin1");
  return socket;
}

/** Sends exactly these bytes, and resolves to everything that comes back. */
export async function sendRaw(fixture: EdgeFixture, bytes: string): Promise<string> {
  const socket = openRawConnection(fixture, bytes);
  let response = "";
  socket.on("data", (data) => {
    response += data.toString();
    socket.end();
  });
  await once(socket, "close");
  return response;
}

/**
 * Sends exactly these bytes, and resolves to the status of the response. It does not wait for the end
 * of the connection, which Envoy keeps open for a second after it has rejected a request.
 */
export async function sendRawForStatus(fixture: EdgeFixture, bytes: string): Promise<number> {
  const socket = openRawConnection(fixture, bytes);
  const closed = once(socket, "close");
  let response = "";
  socket.on("data", (data) => {
    response += data.toString();
    if (response.includes("\r\n")) socket.destroy();
  });
  await closed;
  return statusOf(response);
}

/** The status in the first line of a response. */
export const statusOf = (response: string): number =>
  Number(/^HTTP\/1\.1 (\d{3})/.exec(response)?.[1]);

export interface Http2Response {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  readonly text: string;
}

/** Sends these headers over HTTP/2, pseudo-headers included. */
export async function sendHttp2(
  fixture: EdgeFixture,
  headers: http2.OutgoingHttpHeaders,
  body?: string | Uint8Array,
): Promise<Http2Response> {
  const session = http2.connect(fixture.edge.url);
  session.on("error", () => {}); // The stream reports the same error.
  session.setTimeout(TIMEOUT_MS, () => session.destroy(new Error("no response")));
  try {
    const stream = session.request(headers);
    let text = "";
    const closed = once(
      stream.on("data", (data) => (text += String(data))),
      "close",
    );
    const reset = closed.then(() => Promise.reject(new Error(`reset: ${stream.rstCode}`)));
    reset.catch(() => {}); // It is of interest only until the response arrives.
    stream.end(body);
    const responded = once(stream, "response") as Promise<[http2.IncomingHttpHeaders]>;
    const [response] = await Promise.race([responded, reset]);
    await closed;
    return { status: Number(response[":status"]), headers: response, text };
  } finally {
    session.destroy();
  }
}
