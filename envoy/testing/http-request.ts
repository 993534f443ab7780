import { once } from "node:events";
import * as http from "node:http";
import type { EdgeFixture } from "./edge-fixture.ts";

export interface HttpResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** The body parsed as JSON. */
  readonly json: any;
}

interface RequestOptions {
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: unknown;
  /** The local address that the client connects from. */
  readonly from?: string;
  /** Keeps the connections. By default each request has one of its own. */
  readonly agent?: http.Agent;
}

const TIMEOUT_MS = 20_000;

/** Sends exactly this request. Unlike fetch, it normalizes no path and adds no header. */
export async function request(
  fixture: EdgeFixture,
  method: string,
  path: string,
  { headers = {}, body, from, agent }: RequestOptions = {},
): Promise<HttpResponse> {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const json = typeof body === "object" ? { "content-type": "application/json" } : {};
  const { hostname, port } = new URL(fixture.edge.url);
  const sent = http.request({
    hostname,
    port,
    path,
    method,
    headers: { ...json, ...headers },
    agent: agent ?? false,
    ...(from === undefined ? {} : { localAddress: from }),
  });
  sent.setTimeout(TIMEOUT_MS, () => sent.destroy(new Error(`no response to ${method} ${path}`)));
  sent.end(text);
  // The edge may respond and close the connection while a large body is still being sent.
  sent.on("error", () => {});
  const [response] = (await once(sent, "response")) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  const received = bytes.toString();
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    bytes,
    text: received,
    get json() {
      return JSON.parse(received);
    },
  };
}
