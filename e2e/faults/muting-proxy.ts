import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A line to a server, on which a client can be muted: it goes on hearing, and is not heard. */
export interface MutingProxy {
  readonly port: number;
  /** From now on what clients say is held here. */
  mute(): void;
  /** What was held, of all clients. */
  pending(): Buffer;
  /** Clients are heard again; what was held of those that are still there is passed on. */
  unmute(): void;
  close(): void;
}

interface Call {
  from: Socket;
  to: Socket;
  held: Buffer[];
}

export async function openMutingProxy(serverPort: number): Promise<MutingProxy> {
  const calls = new Set<Call>();
  let muted = false;

  const server = createServer((from) => {
    const call: Call = { from, to: connect(serverPort, "127.0.0.1"), held: [] };
    calls.add(call);
    for (const socket of [call.from, call.to]) {
      socket.on("error", () => undefined);
      socket.once("close", () => {
        // What the dead had to say dies with them.
        calls.delete(call);
        call.from.destroy();
        call.to.destroy();
      });
    }
    call.to.pipe(from);
    from.on("data", (bytes: Buffer) => {
      if (muted) call.held.push(bytes);
      else call.to.write(bytes);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");

  return {
    port: (server.address() as AddressInfo).port,
    mute() {
      muted = true;
    },
    pending: () => Buffer.concat([...calls].flatMap(({ held }) => held)),
    unmute() {
      muted = false;
      for (const { to, held } of calls) for (const bytes of held.splice(0)) to.write(bytes);
    },
    close() {
      server.close();
      for (const { from } of calls) from.destroy();
    },
  };
}
