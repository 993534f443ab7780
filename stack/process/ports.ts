import { mkdirSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tryLock } from "./lock.ts";

/**
 * Below those that kernels give to outgoing connections (from 32,768 on Linux): one of those can be
 * taken between our look and the start of the program that we give it to.
 */
const anywhere = (): number => 10_000 + Math.floor(Math.random() * 22_000);

const leases = join(tmpdir(), "ticketing-ports");
const releases: (() => void)[] = [];
process.once("exit", () => releases.forEach((release) => release()));

/**
 * Whether the port is ours for as long as we live: what we start on it takes a moment to listen, in
 * which another copy of this program would find it free.
 */
function lease(port: number): boolean {
  try {
    mkdirSync(leases, { recursive: true });
    const release = tryLock(join(leases, `${port}`));
    if (typeof release === "number") return false;
    releases.push(release);
  } catch {
    // Another user's folder; then luck must do.
  }
  return true;
}

/** Ports that nobody listens on now, all different, on the loopback address. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Awaited<ReturnType<typeof listen>>[] = [];
  for (let tries = 0; servers.length < count && tries < count + 1_000; tries += 1) {
    const port = anywhere();
    const server = await listen(port).catch(() => undefined);
    if (!server) continue;
    if (lease(port)) servers.push(server);
    else server.close();
  }
  if (servers.length < count) throw new Error("there are no free ports");
  const ports = servers.map((server) => portOf(server));
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

/** The wanted port if it is free, else another one, and says so. */
export async function preferredPort(
  wanted: number | undefined,
  what: string,
  log: (line: string) => void,
): Promise<number> {
  if (wanted === undefined || wanted === 0) return freePort();
  try {
    const server = await listen(wanted);
    await new Promise((done) => server.close(done));
    return wanted;
  } catch {
    const port = await freePort();
    log(`Port ${wanted} is taken: ${what} listens on ${port} instead.`);
    return port;
  }
}

/** Whether somebody answers there. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

function listen(port: number) {
  return new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

function portOf(server: ReturnType<typeof createServer>): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
