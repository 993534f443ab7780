import { once } from "node:events";
import { type AddressInfo, connect as connectSocket, createServer, type Socket } from "node:net";
import { atEnd } from "./at-end.ts";

/** A proxy to a server whose connections can be closed and restored. */
export interface TestProxy {
  readonly port: number;
  cut(): void;
  /** Holds all data in both directions without closing the connections. */
  hang(): void;
  /** Like `hang`, but permanently for the existing connections. */
  forget(): void;
  /** Resumes what hangs, and accepts connections again. */
  mend(): void;
}

/** Forwards to the server at `port`. While it is cut, existing and new connections are closed. */
export async function testProxy(port: number): Promise<TestProxy> {
  const sockets = new Set<Socket>();
  let isCut = false;
  let isHanging = false;
  const server = createServer((from) => {
    if (isCut) return void from.destroy();
    const to = connectSocket(port, "127.0.0.1");
    for (const socket of [from, to]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => {
        sockets.delete(socket);
        from.destroy();
        to.destroy();
      });
    }
    // Data are forwarded by hand, because a pipe would resume by itself.
    from.on("data", (bytes: Buffer) => to.write(bytes));
    to.on("data", (bytes: Buffer) => from.write(bytes));
    if (isHanging) for (const socket of [from, to]) socket.pause();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const cut = (): void => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  atEnd(async () => {
    cut();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    forget() {
      for (const socket of sockets) socket.removeAllListeners("data").resume();
    },
    hang() {
      isHanging = true;
      for (const socket of sockets) socket.pause();
    },
    mend() {
      isCut = isHanging = false;
      for (const socket of sockets) socket.resume();
    },
  };
}

/** A database address that leads through a proxy. */
export async function databaseProxy(uri: string): Promise<{ uri: string; line: TestProxy }> {
  const url = new URL(uri);
  const line = await testProxy(Number(url.port));
  // The driver would connect to the server directly if it asked the replica set for its members.
  url.searchParams.delete("replicaSet");
  url.searchParams.set("directConnection", "true");
  url.port = String(line.port);
  return { uri: url.href, line };
}
