import { connect } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { HealthState } from "../rpc/health.ts";
import { serveHttp, type HttpHandler } from "./http.ts";
import { eventually } from "../testing/eventually.ts";
import { recordedLog } from "../testing/log.ts";

const handlers: [string, HttpHandler][] = [
  [
    "GET /throws",
    () => {
      throw new Error("a secret");
    },
  ],
  ["GET /rejects", () => Promise.reject(new Error("a secret"))],
  [
    "GET /breaks-off",
    (_req, res) => {
      res.writeHead(200).write("half of");
      throw new Error("a secret");
    },
  ],
];

async function plainServer(...more: [string, HttpHandler][]) {
  const { log, lines } = recordedLog();
  const server = await serveHttp({
    ...{ service: "test", host: "127.0.0.1", port: 0, log },
    ...{ routes: new Map([...handlers, ...more]), health: new HealthState() },
  });
  onTestFinished(() => server.close());
  return { port: server.port, url: `http://127.0.0.1:${server.port}`, lines };
}

/** The whole response to these bytes, until the connection ends. */
const talk = (port: number, bytes: string): Promise<string> =>
  new Promise((resolve) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.end(bytes, "latin1"));
    socket.on("data", (chunk) => (answer += chunk.toString("latin1")));
    socket.on("error", () => undefined);
    socket.once("close", () => resolve(answer));
  });

it.each(["throws", "rejects"])("answers 500 if a handler %s, and continues", async (what) => {
  const { url, lines } = await plainServer();
  const answer = await fetch(`${url}/${what}`);
  expect(answer.status).toBe(500);
  expect(await answer.json()).toEqual({ message: "internal error" });
  expect(lines).toMatchObject([{ err: { message: "a secret" }, path: `/${what}` }]);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

it("closes the connection of an incomplete response", async () => {
  const { url } = await plainServer();
  const answer = fetch(`${url}/breaks-off`).then((response) => response.text());
  await expect(answer).rejects.toThrow();
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

it.each([
  ["no request at all", "\u0000\u0001\u0002\r\n\r\n"],
  ["an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["an invalid path", "GET //[::1 HTTP/1.1\r\nHost: a:99999\r\n\r\n"],
  ["two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
  [
    "a chunk without a length",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  ],
  ["an upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"],
  ["a tunnel", "CONNECT a:99999 HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a body that ends early", "POST /throws HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"],
])("answers a malformed request with 4xx or not at all, and continues: %s", async (_, bytes) => {
  const { port, url } = await plainServer();
  expect(await talk(port, bytes)).toMatch(/^$|^HTTP\/1\.1 4\d\d /);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

it("refuses requests above its concurrency limit, and still answers probes", async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  let begun = 0;
  const { url } = await plainServer([
    "GET /slow",
    async (_req, res) => {
      begun += 1;
      await released;
      res.end();
    },
  ]);
  const taken = Array.from({ length: 200 }, () => fetch(`${url}/slow`));
  await eventually(() => begun === 200, "the maximum number of requests");
  const refused = await fetch(`${url}/slow`);
  expect(refused.status).toBe(503);
  expect(refused.headers.get("retry-after")).toBe("1");
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  release();
  expect(new Set((await Promise.all(taken)).map(({ status }) => status))).toEqual(new Set([200]));
  expect((await fetch(`${url}/slow`)).status).toBe(200);
});

it("answers HEAD like GET, without the body", async () => {
  const { port, url } = await plainServer();
  const answer = await talk(port, "HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(answer).not.toContain("alive");
  expect((await fetch(`${url}/none`, { method: "HEAD" })).status).toBe(404);
});
