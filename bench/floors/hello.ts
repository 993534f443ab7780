import { createServer } from "node:http";
import { createServer as createServer2 } from "node:http2";
import { once } from "node:events";
import type { AddressInfo, Server as NetServer } from "node:net";
import { Server, ServerCredentials } from "@grpc/grpc-js";

// A process of its own with the least that a Node server can do: answer by HTTP/1.1, by HTTP/2, and to
// unary gRPC calls by a library and by hand. It prints its ports as one line of JSON.

const HELLO = Buffer.from('{"hello":"world"}');
const json = { "content-type": "application/json" };

/** An empty message in gRPC's frame: no compression, and a length of zero. */
const EMPTY_FRAME = Buffer.alloc(5);
const GRPC_METHOD = "/grpc.health.v1.Health/Check";

/** `/bytes/<n>` is answered with that many bytes. */
const bodies = new Map<string, Buffer>();
function bodyFor(path: string): Buffer {
  const [, length] = /^\/bytes\/(\d+)$/.exec(path) ?? [];
  if (length === undefined) return HELLO;
  const body = bodies.get(path) ?? Buffer.alloc(Number(length), "x");
  bodies.set(path, body);
  return body;
}

async function portOf(server: NetServer): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}

const http1 = createServer((req, res) => {
  req.resume();
  res.writeHead(200, json).end(bodyFor(req.url ?? ""));
});

const http2 = createServer2((req, res) => {
  req.resume();
  res.writeHead(200, json).end(bodyFor(req.url));
});

const grpcByHand = createServer2();
grpcByHand.on("stream", (stream) => {
  stream.resume();
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(EMPTY_FRAME);
});

const bytes = (value: Buffer): Buffer => value;
const grpcJs = new Server();
grpcJs.addService(
  {
    call: {
      path: GRPC_METHOD,
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    },
  },
  {
    call: (_call: unknown, reply: (error: null, value: Buffer) => void) =>
      reply(null, Buffer.alloc(0)),
  },
);
const grpcJsPort = await new Promise<number>((resolve, reject) =>
  grpcJs.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
    error ? reject(error) : resolve(port),
  ),
);

const ports = {
  http1: await portOf(http1),
  http2: await portOf(http2),
  grpcByHand: await portOf(grpcByHand),
  grpcJs: grpcJsPort,
};
console.log(JSON.stringify(ports));
