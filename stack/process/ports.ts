import { mkdirSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tryLock } from "./lock.ts";

const LOOPBACK = "127.0.0.1";
const MAX_ATTEMPTS = 1_000;

/**
 * A port below the ephemeral range (from 32,768 on Linux). The kernel can give an ephemeral port to an
 * outgoing connection before the program that is to listen on it has started.
 */
const randomPort = (): number => 10_000 + Math.floor(Math.random() * 22_000);

const leaseDir = join(tmpdir(), "ticketing-ports");
const releases: (() => void)[] = [];
process.once("exit", () => releases.forEach((release) => release()));

/**
 * Leases a port for the life of this process. Without a lease, another copy of this program could
 * choose the same port before the program that is to listen on it has started.
 */
function lease(port: number): boolean {
  try {
    mkdirSync(leaseDir, { recursive: true });
    const release = tryLock(join(leaseDir, `${port}`));
    if (typeof release === "number") return false;
    releases.push(release);
  } catch {
    // The folder belongs to another user. The port is then used without a lease.
  }
  return true;
}

/** Different ports on the loopback address that no process listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  for (let tries = 0; servers.length < count && tries < count + MAX_ATTEMPTS; tries += 1) {
    const port = randomPort();
    const server = await listen(port).catch(() => undefined);
    if (!server) continue;
    if (lease(port)) servers.push(server);
    else server.close();
  }
  if (servers.length < count) throw new Error("there are no free ports");
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map(close));
  return ports;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

/** The preferred port if it is free. Otherwise another one, with a line in the log. */
export async function preferredPort(
  wanted: number | undefined,
  what: string,
  log: (line: string) => void,
): Promise<number> {
  if (wanted === undefined || wanted === 0) return freePort();
  try {
    await close(await listen(wanted));
    return wanted;
  } catch {
    const port = await freePort();
    log(`Port ${wanted} is in use: ${what} listens on ${port} instead.`);
    return port;
  }
}

/** Whether a process accepts connections on the port. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, LOOPBACK);
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, LOOPBACK, () => resolve(server));
  });
}

const close = (server: Server): Promise<unknown> => new Promise((done) => server.close(done));
