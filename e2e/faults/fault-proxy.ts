import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as passing } from "node:timers/promises";

/** A way to a server, on which what happens to networks and servers can be made to happen. */
export interface FaultProxy {
  readonly port: number;
  /** Nobody is there: what was connected breaks, and what connects is turned away. */
  refuse(): void;
  /** Whatever is said arrives so much later, in both directions. */
  delay(ms: number): void;
  /**
   * Nothing arrives any more and nobody is told, as behind a firewall that has forgotten us: what is
   * connected by then never hears again.
   */
  blackhole(): void;
  /** Each who connects hears this, and no more. */
  respondWith(words: string): void;
  /** All is as before, for those who connect from now on. */
  restore(): void;
  close(): void;
}

interface Connection {
  from: Socket;
  isForgotten: boolean;
}

export async function openFaultProxy(serverPort: number): Promise<FaultProxy> {
  const connections = new Set<Connection>();
  let state: "open" | "cut" | "swallowing" | { words: string } = "open";
  let delayMs = 0;

  /** One after the other, however long each takes. */
  function pass(connection: Connection, from: Socket, to: Socket): void {
    const waiting: { at: number; bytes: Buffer }[] = [];
    async function passOn(): Promise<void> {
      for (let next = waiting[0]; next; next = waiting[0]) {
        const left = next.at - performance.now();
        if (left > 0) await passing(left);
        if (to.writable) to.write(next.bytes);
        waiting.shift();
      }
    }
    from.on("data", (bytes: Buffer) => {
      if (connection.isForgotten) return;
      waiting.push({ at: performance.now() + delayMs, bytes });
      if (waiting.length === 1) void passOn();
    });
  }

  const server = createServer((from) => {
    if (state === "cut") return void from.destroy();
    const connection: Connection = { from, isForgotten: state === "swallowing" };
    connections.add(connection);
    const to = typeof state === "object" ? undefined : connect(serverPort, "127.0.0.1");
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      socket?.on("error", () => undefined);
      socket?.once("close", () => {
        connections.delete(connection);
        other?.destroy();
      });
    }
    if (typeof state === "object") from.end(state.words);
    if (!to) return;
    pass(connection, from, to);
    pass(connection, to, from);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");

  const breakAll = (): void => connections.forEach(({ from }) => from.destroy());
  return {
    port: (server.address() as AddressInfo).port,
    refuse() {
      state = "cut";
      breakAll();
    },
    delay: (ms) => void (delayMs = ms),
    blackhole() {
      state = "swallowing";
      for (const connection of connections) connection.isForgotten = true;
    },
    respondWith(words) {
      state = { words };
      breakAll();
    },
    restore() {
      state = "open";
      delayMs = 0;
    },
    close() {
      server.close();
      breakAll();
    },
  };
}
