import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A TCP proxy that can mute its clients: they still receive data, but what they send is held back. */
export interface MutingProxy {
  readonly port: number;
  /** Holds back what clients send from now on. */
  mute(): void;
  /** What was held back, of all clients. */
  pending(): Buffer;
  /** Forwards again, and first what was held back of the clients that are still connected. */
  unmute(): void;
  close(): void;
}

interface Connection {
  client: Socket;
  server: Socket;
  pending: Buffer[];
}

export async function openMutingProxy(serverPort: number): Promise<MutingProxy> {
  const connections = new Set<Connection>();
  let muted = false;

  const proxy = createServer((client) => {
    const server = connect(serverPort, "127.0.0.1");
    const connection: Connection = { client, server, pending: [] };
    connections.add(connection);
    for (const socket of [client, server]) {
      socket.on("error", () => undefined);
      socket.once("close", () => {
        // What was held back is lost together with the client.
        connections.delete(connection);
        client.destroy();
        server.destroy();
      });
    }
    server.pipe(client);
    client.on("data", (bytes: Buffer) => {
      if (muted) connection.pending.push(bytes);
      else server.write(bytes);
    });
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");

  return {
    port: (proxy.address() as AddressInfo).port,
    mute() {
      muted = true;
    },
    pending: () => Buffer.concat([...connections].flatMap(({ pending }) => pending)),
    unmute() {
      muted = false;
      for (const { server, pending } of connections)
        for (const bytes of pending.splice(0)) server.write(bytes);
    },
    close() {
      proxy.close();
      for (const { client } of connections) client.destroy();
    },
  };
}
