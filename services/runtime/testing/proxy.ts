import { once } from "node:events";
import { type AddressInfo, connect as connectSocket, createServer, type Socket } from "node:net";
import { atEnd } from "./at-end.ts";

/** A line to a server that can be cut and mended. */
export interface TestProxy {
  readonly port: number;
  cut(): void;
  /** Nothing comes through, in either direction, and nobody is told. */
  hang(): void;
  /** As `hang`, and for those who are connected for good. */
  forget(): void;
  /** What hangs goes on, and what is cut can be connected again. */
  mend(): void;
}

/** Leads to the server at `port`. While it is cut, old connections break and new ones too. */
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
    // By hand, for a pipe would go on by itself.
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

/** A database address that leads through a line. */
export async function databaseProxy(uri: string): Promise<{ uri: string; line: TestProxy }> {
  const url = new URL(uri);
  const line = await testProxy(Number(url.port));
  // The driver would find the server itself if it asked the set for its members.
  url.searchParams.delete("replicaSet");
  url.searchParams.set("directConnection", "true");
  url.port = String(line.port);
  return { uri: url.href, line };
}
