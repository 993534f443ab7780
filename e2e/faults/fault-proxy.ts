import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as passing } from "node:timers/promises";

/** A TCP proxy that injects the faults of networks and servers. */
export interface FaultProxy {
  readonly port: number;
  /** The server is down: connections break, and new ones are refused. */
  refuse(): void;
  /** Adds latency in both directions. */
  delay(ms: number): void;
  /**
   * Drops all data without closing a connection, as a firewall does that has lost its state. Existing
   * connections stay silent for good.
   */
  blackhole(): void;
  /** Sends this text to each new connection, and closes it. */
  respondWith(text: string): void;
  /** Ends the fault for new connections. */
  restore(): void;
  close(): void;
}

interface Connection {
  client: Socket;
  isBlackholed: boolean;
}

/** Forwards data in order, each piece after the current latency. */
function forward(connection: Connection, from: Socket, to: Socket, latencyMs: () => number): void {
  const queue: { dueAt: number; bytes: Buffer }[] = [];
  async function drain(): Promise<void> {
    for (let next = queue[0]; next; next = queue[0]) {
      const remainingMs = next.dueAt - performance.now();
      if (remainingMs > 0) await passing(remainingMs);
      if (to.writable) to.write(next.bytes);
      queue.shift();
    }
  }
  from.on("data", (bytes: Buffer) => {
    if (connection.isBlackholed) return;
    queue.push({ dueAt: performance.now() + latencyMs(), bytes });
    if (queue.length === 1) void drain();
  });
}

/** Closes each of the two sockets together with the other. */
function closeTogether(client: Socket, server: Socket | undefined, onClose: () => void): void {
  for (const [socket, other] of [
    [client, server],
    [server, client],
  ] as const) {
    socket?.on("error", () => undefined);
    socket?.once("close", () => {
      onClose();
      other?.destroy();
    });
  }
}

export async function openFaultProxy(serverPort: number): Promise<FaultProxy> {
  const connections = new Set<Connection>();
  let state: "open" | "refusing" | "blackhole" | { text: string } = "open";
  let latencyMs = 0;

  const proxy = createServer((client) => {
    if (state === "refusing") return void client.destroy();
    const connection: Connection = { client, isBlackholed: state === "blackhole" };
    connections.add(connection);
    const server = typeof state === "object" ? undefined : connect(serverPort, "127.0.0.1");
    closeTogether(client, server, () => connections.delete(connection));
    if (typeof state === "object") client.end(state.text);
    if (!server) return;
    forward(connection, client, server, () => latencyMs);
    forward(connection, server, client, () => latencyMs);
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");

  const breakConnections = (): void => connections.forEach(({ client }) => client.destroy());
  return {
    port: (proxy.address() as AddressInfo).port,
    refuse() {
      state = "refusing";
      breakConnections();
    },
    delay: (ms) => void (latencyMs = ms),
    blackhole() {
      state = "blackhole";
      for (const connection of connections) connection.isBlackholed = true;
    },
    respondWith(text) {
      state = { text };
      breakConnections();
    },
    restore() {
      state = "open";
      latencyMs = 0;
    },
    close() {
      proxy.close();
      breakConnections();
    },
  };
}
