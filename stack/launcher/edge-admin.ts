import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";

export type EdgeAdmin = ReturnType<typeof edgeAdmin>;

/**
 * A client of Envoy's admin interface over a Unix socket, which is open before the edge listens and
 * while it drains. Linux has abstract sockets, which have no limit on the length of a path.
 */
export function edgeAdmin(file: string) {
  const abstractName = process.platform === "linux" ? `edge-${randomUUID()}` : undefined;
  const socketPath = abstractName === undefined ? file : `\0${abstractName}`;

  async function call(path: string, method = "GET"): Promise<string> {
    const headers = { host: "localhost", connection: "close" };
    const req = request({ socketPath, path: `/${path}`, method, headers }).end();
    const [response] = (await once(req, "response")) as [IncomingMessage];
    return text(response);
  }

  return {
    /** The socket's name in Envoy's configuration. */
    socket: abstractName === undefined ? file : `@${abstractName}`,
    post: (command: string) => call(command, "POST").catch(() => ""),
    counter: async (name: string) =>
      Number(/: (\d+)$/m.exec(await call(`stats?filter=${name}$`))?.[1] ?? 0),
    /** The port of a listener ("edge::127.0.0.1:8080"), or undefined until it has one. */
    async listenerPort(name: string): Promise<number | undefined> {
      const listeners = await call("listeners").catch(() => "");
      return Number(new RegExp(`^${name}::.*:(\\d+)$`, "m").exec(listeners)?.[1] ?? 0) || undefined;
    },
  };
}
